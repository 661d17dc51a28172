// Selects the names along an axis that are written: those that do not touch each other.

/// Names with positions along an axis.
enum AxisNames {
  /// The indices of the names to write, in ascending order; the last one has precedence.
  ///
  /// - Parameters:
  ///   - places: the centers of the names, ascending.
  ///   - sizes: the extent of each along the axis.
  ///   - gap: the free space between neighbors.
  static func shown(places: [Double], sizes: [Double], gap: Double) -> [Int] {
    var shown: [Int] = []
    var limit = Double.infinity
    for index in places.indices.reversed() where places[index] + sizes[index] / 2 + gap <= limit {
      shown.append(index)
      limit = places[index] - sizes[index] / 2
    }
    return shown.reversed()
  }
}
