// The network that looks at images for FID: Inception v3 as TensorFlow's graph of 2015-12-05 has it, which differs from
// every later version of that network.
//
//   299 × 299 → stem → 5b 5c 5d (35 × 35) → 6a … 6e (17 × 17) → 7a 7b 7c (8 × 8) → mean 2048 → 1008 logits
//
// Average pools leave out what lies outside the map, the pool of the last block takes the largest value, and there are 1008
// classes. Every convolution is followed by batch norm and ReLU. A norm with fixed statistics is a factor and an offset
// for each channel, so it is folded into the convolution when the network is built.

import TensorCore

/// An engine that can run the network.
public typealias FeatureBackend = Backend & PoolingOps

/// Images → the features that FID, sFID, the Inception score, precision and recall are defined with.
public struct Inception<B: FeatureBackend>: Sendable {
  /// What the network says about images.
  public struct Outputs: Sendable {
    /// The mean of the last maps [N, 2048]: features for FID, precision and recall.
    public let pooled: Tensor<B>
    /// The first seven channels of `Mixed_6d.branch1x1` [N, 7, 17, 17]: features for sFID.
    public let spatial: Tensor<B>
    /// Logits without the last layer's bias [N, 1008]: what the Inception score is computed from.
    public let logits: Tensor<B>
  }

  /// The number of pooled features.
  public static var pooledCount: Int { 2048 }
  /// The number of classes.
  public static var classes: Int { 1008 }
  /// The channels of the spatial features.
  public static var spatialChannels: Int { 7 }

  private let stem: InceptionStem<B>
  private let fives: [InceptionA<B>]
  private let sixA: InceptionB<B>
  private let sixes: [InceptionC<B>]
  private let sevenA: InceptionD<B>
  private let sevens: [InceptionE<B>]
  private let head: Tensor<B>
  /// The bias of the last layer [1008], which the Inception score leaves out.
  private let bias: Tensor<B>

  /// A network with weights from a source.
  ///
  /// - Throws: what the source throws; `FileError` where it holds something that the network has not.
  public init(_ source: some InceptionSource, on device: B.Device) throws {
    let builder = InceptionBuilder<B>(source, on: device)
    stem = try InceptionStem(builder)
    fives = try [("b", 192, 32), ("c", 256, 64), ("d", 288, 64)].map {
      try InceptionA(builder, "Mixed_5\($0.0)", from: $0.1, pooled: $0.2)
    }
    sixA = try InceptionB(builder, "Mixed_6a")
    sixes = try [("b", 128), ("c", 160), ("d", 160), ("e", 192)].map {
      try InceptionC(builder, "Mixed_6\($0.0)", inner: $0.1)
    }
    sevenA = try InceptionD(builder, "Mixed_7a")
    sevens = try [("b", 1280, false), ("c", 2048, true)].map {
      try InceptionE(builder, "Mixed_7\($0.0)", from: $0.1, takesLargest: $0.2)
    }
    head = try builder.tensor("fc.weight", [Self.classes, Self.pooledCount])
    bias = try builder.tensor("fc.bias", [Self.classes])
    try source.finish(builder.names)
  }

  /// Images [N, 3, 299, 299] as `InceptionInput` makes them → features.
  ///
  /// - Parameters:
  ///   - images: normalized pixels.
  ///   - stage: receives the mean over positions of the maps on the way: `64` [N, 64], `192` [N, 192] and `768` [N, 768].
  public func callAsFunction(_ images: Tensor<B>, stage: (String, Tensor<B>) throws -> Void) rethrows
    -> Outputs
  {
    var x = stem.first(images)  // [N, 64, 73, 73]
    try stage("64", mean(x))
    x = stem.second(x)  // [N, 192, 35, 35]
    try stage("192", mean(x))
    for block in fives { x = block(x) }  // [N, 288, 35, 35]
    x = sixA(x)  // [N, 768, 17, 17]
    var spatial = x
    for (place, block) in sixes.enumerated() {
      let (output, first) = block(x)
      if place == 2 { spatial = B.slice(first, axis: 1, 0..<Self.spatialChannels) }  // Mixed_6d
      x = output
    }
    try stage("768", mean(x))
    x = sevenA(x)  // [N, 1280, 8, 8]
    for block in sevens { x = block(x) }  // [N, 2048, 8, 8]
    let pooled = mean(x)
    return Outputs(pooled: pooled, spatial: spatial, logits: B.linear(pooled, weight: head, bias: nil))
  }

  /// The logits with the last layer's bias [N, 1008].
  package func biasedLogits(_ pooled: Tensor<B>) -> Tensor<B> { B.linear(pooled, weight: head, bias: bias) }

  private func mean(_ x: Tensor<B>) -> Tensor<B> {
    B.areaResize(x, height: 1, width: 1).reshaped([x.shape[0], x.shape[1]])
  }
}
