// Pillow's resampling filters as fixed-point weights (Image.resize with BOX or BICUBIC). Position o of the output reads
// a window of the input around (o + ½) · scale; when shrinking, the filter is stretched by the scale, which is what
// makes it antialiased. Arithmetic is in Double until the last step, then with 22 fractional bits.

/// How an image is resized.
public enum ResamplingFilter: Sendable {
  /// The mean over the window, support ½.
  case box
  /// Cubic convolution with a = −0.5, support 2.
  case bicubic

  /// Half the width of the filter at scale 1.
  var support: Double {
    switch self {
    case .box: 0.5
    case .bicubic: 2
    }
  }

  /// The filter's value at a distance in (stretched) input pixels.
  func weight(_ distance: Double) -> Double {
    switch self {
    case .box:
      return distance > -0.5 && distance <= 0.5 ? 1 : 0
    case .bicubic:
      let a = -0.5
      let x = abs(distance)
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
      return 0
    }
  }
}

/// Which of the two passes comes first; it matters because the intermediate image is rounded to bytes.
public enum ResamplingOrder: Sendable {
  /// Always the horizontal one, as in Pillow up to 12 and in the tools the published models were trained with.
  case horizontalFirst
  /// The vertical one when it removes more than twice as many rows as the other removes columns, as in Pillow 13.
  case pillow13

  func isVerticalFirst(from: (width: Int, height: Int), to: (width: Int, height: Int)) -> Bool {
    self == .pillow13 && from.height - to.height > 2 * max(from.width - to.width, 0)
  }
}

/// For each position of one output axis: where its window starts in the input, and the window's weights.
struct ResamplingTaps {
  /// Fractional bits of a weight: 8 bits of pixel and 2 of headroom leave 22 of 32.
  static let fractionBits = 22

  /// First input position of each window.
  private(set) var starts: [Int] = []

  /// Length of each window.
  private(set) var counts: [Int] = []

  /// The windows' weights, each window padded to `stride`.
  private(set) var weights: [Int32]

  /// The longest window.
  let stride: Int

  /// The input positions that any window touches.
  private(set) var inputRange: Range<Int>

  /// - Parameters:
  ///   - inputSize: input positions, at least 1.
  ///   - outputSize: output positions, at least 1.
  ///   - places: the output positions that are wanted, not empty.
  ///   - filter: the kind of resizing.
  init(inputSize: Int, outputSize: Int, places: Range<Int>, filter: ResamplingFilter) {
    let scale = Double(inputSize) / Double(outputSize)
    let stretch = max(scale, 1)
    let reach = filter.support * stretch
    stride = min(Int(reach.rounded(.up)) * 2 + 1, inputSize)
    weights = [Int32](repeating: 0, count: stride * places.count)
    inputRange = 0..<0
    for (row, place) in places.enumerated() {
      let center = (Double(place) + 0.5) * scale
      let first = max(Int(center - reach + 0.5), 0)
      let last = min(Int(center + reach + 0.5), inputSize)
      let window = (first..<last).map { filter.weight((Double($0) - center + 0.5) * (1 / stretch)) }
      let sum = window.reduce(0, +)
      for (tap, weight) in window.enumerated() {
        let scaled = (sum == 0 ? weight : weight / sum) * Double(1 << ResamplingTaps.fractionBits)
        weights[row * stride + tap] = Int32(scaled < 0 ? scaled - 0.5 : scaled + 0.5)
      }
      starts.append(first)
      counts.append(window.count)
      inputRange = row == 0 ? first..<last : min(inputRange.lowerBound, first)..<max(inputRange.upperBound, last)
    }
  }

  /// The input positions of one output position.
  func window(_ place: Int) -> Range<Int> { starts[place]..<(starts[place] + counts[place]) }

  /// The weights of ``window(_:)``.
  func weights(_ place: Int) -> ArraySlice<Int32> { weights[(place * stride)..<(place * stride + counts[place])] }
}
