// Images → features, a batch at a time.

import MVARFiles
import MVARMedia
import TensorCore

extension Inception {
  /// The features of a set of images.
  ///
  /// - Parameters:
  ///   - images: of any sizes.
  ///   - batch: how many are computed at once; the features of an image do not depend on it.
  ///   - device: where the network is.
  ///   - onProgress: receives how many images are done.
  /// - Throws: `FileError` where an image cannot be read, `MeasureError` where features are not finite, what `onProgress`
  ///   throws, and what the engine throws when a transfer fails.
  public func features(
    of images: ImageSet, batch: Int, on device: B.Device, onProgress: (Int) throws -> Void = { _ in }
  ) throws -> ImageFeatures {
    var (pooled, spatial, logits): ([Float], [Float], [Float]) = ([], [], [])
    var done = 0
    try images.forEachBatch(batch) { part in
      let input = try Tensor<B>(
        B.Scalar.array(InceptionInput.values(of: part)),
        shape: [part.count, 3, InceptionInput.side, InceptionInput.side], on: device)
      let outputs = self(input) { _, _ in }
      pooled += try outputs.pooled.scalars().map { Float($0) }
      spatial += try Self.channelsLast(outputs.spatial)
      logits += try outputs.logits.scalars().map { Float($0) }
      guard logits.suffix(part.count * Self.classes).allSatisfy(\.isFinite) else {
        throw MeasureError("the features are not finite numbers: the weights of the network are damaged")
      }
      done += part.count
      try onProgress(done)
    }
    return ImageFeatures(
      pooled: FeatureMatrix(pooled, rows: done, columns: Self.pooledCount),
      spatial: FeatureMatrix(spatial, rows: done, columns: spatial.count / max(done, 1)),
      logits: FeatureMatrix(logits, rows: done, columns: Self.classes))
  }

  /// [N, C, H, W] → N rows of H·W·C numbers, the order in which TensorFlow has them and in which statistics are published.
  private static func channelsLast(_ maps: Tensor<B>) throws -> [Float] {
    let (channels, map) = (maps.shape[1], maps.shape[2] * maps.shape[3])
    let rows = B.transpose(maps.reshaped([maps.shape[0], channels, map]))  // [N, H·W, C]
    return try rows.scalars().map { Float($0) }
  }
}
