// Reads the numbers of a checkpoint of a training. Whatever this program could not have written there is refused in one
// sentence, before any of it is used: counts beyond what the iterations allow, numbers that are not finite, negative squares.

import MVARCheckpoints
import MVARFiles
import TensorCore

/// The numbers in a file that this program wrote.
struct StoredNumbers {
  let file: Checkpoint

  /// Counts, each from 0 to a limit.
  ///
  /// - Parameter reason: what the limit follows from.
  /// - Throws: `FileError`.
  func counts(_ name: String, _ shape: [Int], upTo limit: Int, because reason: String) throws -> [Int] {
    let values = try tensor(name, shape).integers()
    if let place = values.firstIndex(where: { !(0...limit).contains($0) }) {
      throw FileError(
        file.path, "\(name) holds \(values[place]) at position \(place), and \(reason) counts are 0 … \(limit)")
    }
    return values
  }

  /// Numbers in single precision.
  ///
  /// - Throws: `FileError` when one is not finite or below the least.
  func floats(_ name: String, _ shape: [Int], least: Float = -.greatestFiniteMagnitude) throws -> [Float] {
    let values = try real(name, shape).floats()
    try check(values, name, least: least, most: .greatestFiniteMagnitude)
    return values
  }

  /// Numbers in double precision, as ``floats(_:_:least:)``.
  func doubles(_ name: String, _ shape: [Int], least: Double = -.greatestFiniteMagnitude) throws -> [Double] {
    let values = try real(name, shape).doubles()
    try check(values, name, least: least, most: .greatestFiniteMagnitude)
    return values
  }

  /// A moment in 8 bits: bytes, and a scale for each block.
  ///
  /// - Throws: `FileError` for a scale that is not finite or too large for its numbers to be, and for a byte that no
  ///   moment has.
  func shortNumbers(_ name: String, scales scalesName: String, _ shape: [Int], _ code: ShortNumbers.Code) throws
    -> ShortNumbers
  {
    let stored = try tensor(name, shape)
    guard stored.scalarType == .uint8 else {
      throw FileError(file.path, "\(name) holds \(stored.scalarType), and moments in int8 are bytes")
    }
    let bytes = try stored.withContiguousBytes { [UInt8]($0) }
    let scales = try real(scalesName, [ShortNumbers.blocks(bytes.count)]).floats()
    try check(scales, scalesName, least: 0, most: code.largestScale)
    for (place, byte) in bytes.enumerated() where byte != 0 {
      if code == .firstMoment && byte == 128 {
        throw FileError(file.path, "\(name) holds 128 at position \(place), which would be the moment −0")
      }
      if scales[place / ShortNumbers.blockLength] == 0 {
        throw FileError(file.path, "\(name) holds \(byte) at position \(place), and the scale of its block is 0")
      }
    }
    return ShortNumbers(code, bytes: bytes, scales: scales)
  }

  /// Refuses numbers outside a range, among them NaN.
  ///
  /// - Parameter offset: the position of the first of them in the file.
  /// - Throws: `FileError`.
  func check<Number: BinaryFloatingPoint>(
    _ values: some Collection<Number>, _ name: String, least: Number, most: Number, offset: Int = 0
  ) throws {
    guard let place = values.firstIndex(where: { !($0 >= least && $0 <= most) }) else { return }
    let position = offset + values.distance(from: values.startIndex, to: place)
    let range =
      least == -.greatestFiniteMagnitude
      ? "finite" : most == .greatestFiniteMagnitude ? "finite and at least \(least)" : "\(least) … \(most)"
    throw FileError(file.path, "\(name) holds \(values[place]) at position \(position), and its numbers are \(range)")
  }

  private func real(_ name: String, _ shape: [Int]) throws -> StoredTensor {
    let stored = try tensor(name, shape)
    guard stored.scalarType.isFloatingPoint else {
      throw FileError(file.path, "\(name) holds \(stored.scalarType), not floating-point numbers")
    }
    return stored
  }

  private func tensor(_ name: String, _ shape: [Int]) throws -> StoredTensor {
    guard let stored = file[name] else { throw FileError(file.path, "\(name) is missing") }
    guard stored.shape == shape else {
      throw FileError(file.path, "\(name) has shape \(stored.shape), the model needs \(shape)")
    }
    return stored
  }
}
