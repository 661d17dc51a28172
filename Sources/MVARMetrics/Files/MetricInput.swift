// One side of a comparison: images, features of images, or statistics of features. A published file may hold several of
// them: guided-diffusion's reference batches have images and statistics.
//
//   arr_0  uint8 [N, H, W, 3]             images
//   mu [D], sigma [D, D]                  statistics of pooled features
//   mu_s [D'], sigma_s [D', D']           statistics of spatial features
//   pooled [N, D], spatial [N, D'], logits [N, classes], network    features, as `FeatureCache` writes them

import Foundation
import MVARCheckpoints
import MVARFiles

/// What a file or a folder says about a set of images.
public struct MetricInput: Sendable {
  /// The file or folder.
  public let path: String
  /// The images, if it holds any.
  public var images: ImageSet?
  /// Features of the images.
  public var features = ImageFeatures()
  /// Statistics of pooled features.
  public private(set) var pooledStatistics: FeatureStatistics?
  /// Statistics of spatial features.
  public private(set) var spatialStatistics: FeatureStatistics?
  /// The checksum of the network's weights, where the file says of which network its features are.
  public var network: UInt32?

  /// A set of images.
  public init(path: String, images: ImageSet) { (self.path, self.images) = (path, images) }

  /// Features of a set of images.
  public init(path: String, features: ImageFeatures) { (self.path, self.features) = (path, features) }

  /// Opens a file or a folder.
  ///
  /// - Parameters:
  ///   - path: a folder of images, or an npz, npy or safetensors file.
  ///   - holdsFeatures: whether its only matrix, whatever its name, is pooled features.
  /// - Throws: `FileError`, one sentence, where it holds nothing that can be used.
  public init(path: String, holdsFeatures: Bool) throws {
    self.path = path
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
      guard !holdsFeatures else { throw FileError(path, "is a folder, and features are in a file (.npz)") }
      images = try ImageSet(folder: path)
      return
    }
    let file = try Checkpoint.open(path)
    do {
      try read(file, holdsFeatures: holdsFeatures)
    } catch let error as FileError where error.path == nil {
      throw FileError(path, error.reason)
    } catch let error as MeasureError {
      throw FileError(path, error.description)
    }
  }

  private mutating func read(_ file: Checkpoint, holdsFeatures: Bool) throws {
    func matrix(_ name: String) throws -> FeatureMatrix? {
      try file[name].map { try FeatureMatrix($0, name: name) }
    }
    func statistics(_ mean: String, _ covariance: String) throws -> FeatureStatistics? {
      guard let stored = file[mean] else {
        guard file[covariance] == nil else { throw FileError(nil, "has \(covariance), but no \(mean)") }
        return nil
      }
      guard let matrix = file[covariance] else { throw FileError(nil, "has \(mean), but no \(covariance)") }
      guard stored.shape.count == 1, stored.count >= 1, matrix.shape == [stored.count, stored.count] else {
        throw FileError(
          nil,
          "\(mean) has shape \(stored.shape) and \(covariance) \(matrix.shape), and they are [D] and [D, D]")
      }
      guard stored.count <= FeatureStatistics.mostFeatures else {
        throw FileError(nil, "\(mean) has \(stored.count) features; at most \(FeatureStatistics.mostFeatures) are read")
      }
      return try FeatureStatistics(mean: stored.doubles(), covariance: matrix.doubles())
    }
    // A file that names statistics holds no features, whatever its matrices are.
    if holdsFeatures, file["pooled"] == nil, file["mu"] == nil, file["mu_s"] == nil {
      let matrices = file.tensors.filter { $0.tensor.shape.count == 2 && $0.tensor.scalarType.isFloatingPoint }
      guard let only = matrices.first, matrices.count == 1 else {
        throw FileError(
          nil,
          matrices.isEmpty
            ? "holds no features: no array of floating-point numbers [images, features]"
            : "holds \(matrices.count) matrices; name that of the features pooled")
      }
      features.pooled = try FeatureMatrix(only.tensor, name: only.name)
      return
    }
    features = ImageFeatures(
      pooled: try matrix("pooled"), spatial: try matrix("spatial"), logits: try matrix("logits"))
    let counts = [features.pooled, features.spatial, features.logits].compactMap { $0?.rows }
    guard Set(counts).count <= 1 else {
      throw FileError(nil, "its features are of \(counts.map(String.init).joined(separator: ", ")) images")
    }
    if let stored = file["network"] {
      guard let number = try? stored.integers(), number.count == 1, let checksum = UInt32(exactly: number[0]) else {
        throw FileError(nil, "network is no checksum")
      }
      network = checksum
    }
    pooledStatistics = try statistics("mu", "sigma")
    spatialStatistics = try statistics("mu_s", "sigma_s")
    if let array = file["arr_0"] {
      images = try ImageSet(array, name: "arr_0", path: path)
    }
    guard images != nil || !counts.isEmpty || pooledStatistics != nil || spatialStatistics != nil else {
      let names = file.tensors.prefix(8).map { printable($0.name, limit: 40) }.joined(separator: ", ")
      throw FileError(
        nil,
        "holds neither images (arr_0), features (pooled) nor statistics (mu, sigma), but \(names.isEmpty ? "nothing" : names)"
      )
    }
  }

  /// Statistics of pooled features: those of the file, or else those of its features.
  public func pooled() throws -> FeatureStatistics? {
    try pooledStatistics ?? features.pooled.map { try FeatureStatistics($0) }
  }

  /// Statistics of spatial features: those of the file, or else those of its features.
  public func spatial() throws -> FeatureStatistics? {
    try spatialStatistics ?? features.spatial.map { try FeatureStatistics($0) }
  }
}

/// Files of features.
public enum FeatureCache {
  /// Writes features, which `MetricInput` reads again.
  ///
  /// - Parameters:
  ///   - features: those of one or more layers.
  ///   - network: the checksum of the weights of the network that computed them.
  ///   - path: the file to write (.npz).
  /// - Throws: `FileError` if the file cannot be written.
  public static func write(_ features: ImageFeatures, network: UInt32?, to path: String) throws {
    var arrays: [(name: String, tensor: StoredTensor)] = []
    for case (let name, let matrix?) in [
      ("pooled", features.pooled), ("spatial", features.spatial), ("logits", features.logits),
    ] {
      arrays.append((name, try StoredTensor(matrix.values, shape: [matrix.rows, matrix.columns])))
    }
    if let network { arrays.append(("network", try StoredTensor([Int(network)], shape: [1]))) }
    try NPZWriter.write(arrays, to: path)
  }
}
