// A small classifier as a file, so that several sets of images can be compared by the same features: a safetensors file with
// its parameters under their own names, and its sizes in the metadata.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import TensorCore

extension SmallClassifier {
  /// The metadata's keys for the sizes; the first also tells such a file from others.
  private static var classesKey: String { "small_classifier.classes" }
  private static var sideKey: String { "small_classifier.side" }

  /// Writes the parameters and the sizes, replacing an old file only when complete.
  ///
  /// - Throws: `FileError` when the file cannot be written.
  public func write(to path: String) throws {
    try SafetensorsWriter.write(
      try storedParameters(), metadata: [Self.classesKey: String(classes), Self.sideKey: String(side)], to: path)
  }

  /// The CRC-32 of the parameters with their names and shapes: features of classifiers with different ones are not compared.
  package var checksum: UInt32 {
    get throws { try MVARCheckpoints.checksum(of: try storedParameters()) }
  }

  private func storedParameters() throws -> [(name: String, tensor: StoredTensor)] {
    try parameters.map { parameter in
      (
        name: parameter.name,
        tensor: try StoredTensor(
          try parameter.value.scalars().map { Float($0) }, shape: parameter.value.shape.dimensions)
      )
    }
  }

  /// The classifier that a file holds.
  ///
  /// - Throws: `FileError` when the file holds none, or a parameter is missing, has another shape or is not finite.
  public init(reading path: String, on device: B.Device) throws {
    let file = try Checkpoint.open(path)
    func size(_ key: String, _ range: ClosedRange<Int>) throws -> Int {
      guard let text = file.metadata[key], let number = Int(text), range.contains(number) else {
        throw FileError(
          path, "is no small classifier: its metadata have no \(key) from \(range.lowerBound) to \(range.upperBound)")
      }
      return number
    }
    try self.init(
      classes: try size(Self.classesKey, 1...1 << 16), side: try size(Self.sideKey, 16...4096),
      StoredClassifier<B>(file: file, device: device), on: device)
  }
}

/// The parameters in a classifier's file.
private struct StoredClassifier<B: Backend>: ParameterSource {
  let file: Checkpoint
  let device: B.Device

  func value(_ name: String, shape: Shape, initial: InitialValue) throws -> Tensor<B> {
    guard let stored = file[name] else { throw FileError(file.path, "\(name) is missing") }
    guard stored.shape == shape.dimensions, stored.scalarType.isFloatingPoint else {
      throw FileError(
        file.path, "\(name) is \(stored.scalarType) \(stored.shape), and the classifier needs numbers \(shape)")
    }
    let values = try stored.floats()
    guard values.allSatisfy(\.isFinite) else { throw FileError(file.path, "\(name) holds numbers that are not finite") }
    return try Tensor(B.Scalar.array(values), shape: shape, on: device)
  }
}
