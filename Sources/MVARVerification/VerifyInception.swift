// Kind `inception`: the features that FID and its like are defined with, of images in the file, with seeded weights.
//
//   images.CASE uint8 [N, 3, H, W] → NAME.of.CASE for each NAME of 64, 192, 768, 2048, spatial, logits_unbiased, logits

import MVARCheckpoints
import MVARComparison
import MVARMetrics
import TensorCore

extension GoldenBar {
  /// A tensor of features.
  static func features(of largest: Double) -> Bar {
    Bar(
      absolute: 1e-5 * largest,
      "1e-05 of the golden tensor's largest magnitude: ten times what float32 errs by in ninety layers, 1e-06")
  }
}

extension Verifier {
  /// The settings of a file of features.
  private struct Settings: Decodable { let seed: UInt64 }

  func inception(_ file: GoldenFile, _ rows: inout RowCollector) throws {
    guard let engine = B.self as? any FeatureBackend.Type else {
      throw GoldenError(file.path, "needs an engine that can pool, and \(B.self) cannot")
    }
    let prefix = "images."
    let cases = file.checkpoint.tensors.map(\.name).filter { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count) }
    guard !cases.isEmpty else { throw GoldenError(file.path, "has no images (images.CASE)") }
    let seed = try file.metadata("config", as: Settings.self).seed
    try Self.inception(engine, device, seed, cases.map(String.init), file, &rows)
  }

  private static func inception<E: FeatureBackend>(
    _ engine: E.Type, _ device: B.Device, _ seed: UInt64, _ cases: [String], _ file: GoldenFile,
    _ rows: inout RowCollector
  ) throws {
    // The same type under another name: the cast that found the engine hides that.
    guard let device = device as? E.Device else { return }
    let model = try Inception<E>(SeededInception(seed: seed), on: device)
    for name in cases {
      let stored = try file.tensor("images.\(name)")
      let names = file.checkpoint.tensors.map(\.name).filter { $0.hasSuffix(".of.\(name)") }
      let shape = stored.shape
      guard shape.count == 4, shape[1] == 3, shape.allSatisfy({ $0 >= 1 }), shape[2] <= 1 << 15, shape[3] <= 1 << 15,
        let pixels = try? stored.integers().map({ UInt8(exactly: $0) }), !pixels.contains(nil)
      else {
        rows.notJudged(
          "images.\(name)", "is \(stored.scalarType) \(shape), and images are bytes [N, 3, H, W] with at least one")
        for other in names { _ = file.checkpoint[other] }
        continue
      }
      guard !names.isEmpty else {
        rows.notJudged("images.\(name)", "has no features (NAME.of.\(name))")
        continue
      }
      let found = try outputs(model, pixels.compactMap { $0 }, shape, device)
      for (key, values) in found where file.checkpoint["\(key).of.\(name)"] != nil {
        rows.judging("\(key).of.\(name)") { rows in
          let golden = try ComparedValues(file.tensor("\(key).of.\(name)"))
          rows.compare("\(key).of.\(name)", values, golden, GoldenBar.features(of: golden.largest))
        }
      }
    }
  }

  /// All features of some images, by the names of golden files.
  private static func outputs<E: FeatureBackend>(
    _ model: Inception<E>, _ pixels: [UInt8], _ shape: [Int], _ device: E.Device
  ) throws -> [(String, ComparedValues)] {
    let (count, height, width) = (shape[0], shape[2], shape[3])
    let each = 3 * height * width
    var parts: [(name: String, shape: [Int], numbers: [Double])] = []
    for image in 0..<count {
      let values = InceptionInput.values(
        planar: Array(pixels[image * each..<(image + 1) * each]), width: width, height: height)
      let side = InceptionInput.side
      let input = try Tensor<E>(E.Scalar.array(values), shape: [1, 3, side, side], on: device)
      var found: [(String, Tensor<E>)] = []
      let outputs = model(input) { found.append(($0, $1)) }
      found += [
        ("2048", outputs.pooled), ("spatial", outputs.spatial), ("logits_unbiased", outputs.logits),
        ("logits", model.biasedLogits(outputs.pooled)),
      ]
      for (place, (name, tensor)) in found.enumerated() {
        if image == 0 { parts.append((name, [count] + tensor.shape.dimensions.dropFirst(), [])) }
        parts[place].numbers += try tensor.scalars().map { Double($0) }
      }
    }
    return parts.map { ($0.name, ComparedValues($0.numbers, shape: $0.shape)) }
  }
}
