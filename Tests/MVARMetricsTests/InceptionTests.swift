// The network: its features in single precision against double precision and plain loops, images of any size, and files of
// weights that are not its own.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARMedia
import MVARMetrics
import MVARTestSupport
import MVARVerification
import TensorCore
import Testing

@Suite("Inception")
struct InceptionTests {
  /// Every weight of the network, as a file would hold it.
  private final class Recorder: InceptionSource {
    private(set) var weights: [(name: String, tensor: StoredTensor)] = []

    func values(_ name: String, shape: Shape) throws -> [Float] {
      let values = SeededInception(seed: 1).values(name, shape: shape)
      weights.append((name, try StoredTensor(values, shape: shape.dimensions)))
      return values
    }

    func finish(_ names: Set<String>) {}
  }

  private static let recorded:
    Result<(weights: [(name: String, tensor: StoredTensor)], Inception<CPU<Float>>), any Error> =
      Result {
        let recorder = Recorder()
        let model = try Inception<CPU<Float>>(recorder, on: HostDevice())
        return (recorder.weights, model)
      }

  private func images(_ sizes: [(Int, Int)]) throws -> [PixelImage] {
    var random = RandomValues(seed: 8)
    return try sizes.map { width, height in
      let numbers = random.normal([3 * width * height]).numbers
      return try PixelImage(
        width: width, height: height, pixels: numbers.map { UInt8(min(max(128 + 60 * $0, 0), 255)) })
    }
  }

  @Test("the golden features in double precision: within what float32 errs by")
  func golden() throws {
    let report = try Verifier<CPU<Double>>(on: HostDevice()).verify(Fixtures.path("golden/inception.safetensors"))
    #expect(report.passed == 14 && report.rows.count == 14)
    for row in report.rows { #expect(row.passes && row.relative < 2e-6, "\(row)") }
  }

  @Test("plain loops in double precision give the same features")
  func reference() throws {
    let input = InceptionInput.values(of: try images([(20, 12)])).map { Double($0) }
    let side = InceptionInput.side
    func outputs<B: FeatureBackend>(_ engine: B.Type) throws -> [[Double]]
    where B.Device == HostDevice, B.Scalar == Double {
      let model = try Inception<B>(SeededInception(seed: 3), on: HostDevice())
      let found = model(try Tensor(input, shape: [1, 3, side, side], on: HostDevice())) { _, _ in }
      return try [found.pooled, found.spatial, found.logits].map { try $0.scalars() }
    }
    for (a, b) in zip(try outputs(CPU<Double>.self), try outputs(Reference<Double>.self)) {
      let largest = b.map(abs).max() ?? 0
      #expect(largest > 0.1 && zip(a, b).allSatisfy { abs($0 - $1) < 1e-12 * largest })
    }
  }

  @Test("an image of the network's size stays as it is, and others are stretched between their pixels")
  func input() throws {
    let image = try images([(299, 299)])[0]
    let same = InceptionInput.values(of: [image])
    for (channel, row, column) in [(0, 0, 0), (1, 298, 298), (2, 17, 251)] {
      let byte = image.pixels[(row * 299 + column) * 3 + channel]
      #expect(same[(channel * 299 + row) * 299 + column] == (Float(byte) - 128) / 128)
    }
    // Two pixels: 0 and 255; position j lies at j·2/299, and from 1 on everything is the last pixel.
    let two = try PixelImage(width: 2, height: 1, pixels: [0, 0, 0, 255, 255, 255])
    let values = InceptionInput.values(of: [two])
    for column in [0, 74, 149, 150, 298] {
      let brightness = min(Double(column) * 2 / 299, 1) * 255
      #expect(abs(Double(values[column]) - (brightness - 128) / 128) < 1e-5, "\(column)")
    }
    let planar = InceptionInput.values(planar: [0, 255, 0, 255, 0, 255], width: 2, height: 1)
    #expect(planar == values)
  }

  @Test("features do not depend on the batch, and spatial ones have their channels last")
  func batches() throws {
    let (_, model) = try Self.recorded.get()
    let set = ImageSet(try images([(16, 16), (30, 20), (299, 299)]))
    let (one, three) = (
      try model.features(of: set, batch: 1, on: HostDevice()), try model.features(of: set, batch: 3, on: HostDevice())
    )
    #expect(one.pooled == three.pooled && one.spatial == three.spatial && one.logits == three.logits)
    #expect(one.spatial?.columns == 2023 && one.pooled?.columns == 2048 && one.logits?.columns == 1008)
    let input = try Tensor<CPU<Float>>(
      InceptionInput.values(of: try images([(16, 16)])), shape: [1, 3, 299, 299], on: HostDevice())
    let maps = try model(input) { _, _ in }.spatial.scalars()
    #expect(one.spatial?.values[(3 * 17 + 5) * 7 + 6] == maps[(6 * 17 + 3) * 17 + 5])
  }

  @Test("a file of weights, also of PyTorch, also wrapped; what is missing, unknown, misshapen or damaged is named")
  func files() throws {
    let (weights, model) = try Self.recorded.get()
    // The features of an image, without computing them: two weights of both networks.
    #expect(weights.count == 472)
    try withTemporaryFolder { folder in
      let path = "\(folder)/a.pth"
      let batches = ("Mixed_7c.branch1x1.bn.num_batches_tracked", try StoredTensor([0], shape: []))
      try TorchWriter.write(weights + [batches], to: path)
      let source = try StoredInception(path: path)
      let read = try Inception<CPU<Float>>(source, on: HostDevice())
      let set = ImageSet(try images([(8, 8)]))
      #expect(
        try read.features(of: set, batch: 1, on: HostDevice()).pooled
          == model.features(of: set, batch: 1, on: HostDevice()).pooled)

      func expect(_ sentence: String, _ change: (inout [(name: String, tensor: StoredTensor)]) throws -> Void) throws {
        var changed = weights
        try change(&changed)
        let path = "\(folder)/b.safetensors"
        try SafetensorsWriter.write(changed, to: path)
        let error = #expect(throws: FileError.self) {
          _ = try Inception<CPU<Float>>(StoredInception(path: path), on: HostDevice())
        }
        #expect(error.map { "\($0)" } == "\(path): \(sentence)")
      }
      let place = try #require(weights.firstIndex { $0.name == "Mixed_6e.branch7x7_2.bn.bias" })
      try expect("has no weight Mixed_6e.branch7x7_2.bn.bias") { $0.remove(at: place) }
      try expect("Mixed_6e.branch7x7_2.bn.bias has shape [191], and the network needs [192]") {
        $0[place].tensor = try StoredTensor([Float](repeating: 0, count: 191), shape: [191])
      }
      try expect("Mixed_6e.branch7x7_2.bn.bias holds nan at [7]: the weights are damaged") {
        var values = [Float](repeating: 0, count: 192)
        values[7] = .nan
        $0[place].tensor = try StoredTensor(values, shape: [192])
      }
      try expect("Mixed_6e.branch7x7_2.bn.bias holds numbers of type int64, and weights have fractions") {
        $0[place].tensor = try StoredTensor([Int](repeating: 0, count: 192), shape: [192])
      }
      try expect("Mixed_6e.branch7x7_2.bn.running_var holds a variance below 0: the weights are damaged") {
        let place = try #require(weights.firstIndex { $0.name == "Mixed_6e.branch7x7_2.bn.running_var" })
        $0[place].tensor = try StoredTensor([Float](repeating: -1, count: 192), shape: [192])
      }
      try expect("holds the weight AuxLogits.fc.bias, which the network of FID has not") {
        $0.append(("AuxLogits.fc.bias", try StoredTensor([Float(0)], shape: [1])))
      }
    }
  }
}
