// Trainings whose optimizer keeps gradients in bf16 and moments in 8 bits: what is kept in which numbers, engines that have
// none, checkpoints that hold the codes themselves and refuse what no run writes, and that they learn as others do.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("trainings in short numbers") struct ShortStateTests {
  private typealias Engine = TinyTraining.Engine
  private let lean = OptimizerStorage(gradients: .bf16, moments: .int8)

  private func session(_ tokenizer: VQVAE<Engine>, steps: Int = 12, _ storage: OptimizerStorage) throws
    -> TransformerSession<Engine>
  {
    try TinyTraining.transformerSession(steps: steps, batch: 4, tokenizer: tokenizer) { $0.storage = storage }
  }

  @Test("moments of large tensors are bytes, those of vectors and small tensors numbers")
  func kept() throws {
    var session = try session(TinyTraining.tokenizer(), lean)
    _ = try session.step(0)
    var names: Set<String> = []
    for (parameter, moments) in zip(session.trainer.optimizer.parameters, session.trainer.optimizer.moments) {
      guard let moments else { continue }
      let codes = [moments.first, moments.second].map { Engine.shortNumbers(of: $0.storage)?.code }
      let isShort = parameter.value.shape.rank > 1 && parameter.value.shape.count >= 4096
      #expect(codes == (isShort ? [.firstMoment, .secondMoment] : [nil, nil]), "\(parameter.name)")
      if isShort { names.insert(parameter.name) }
    }
    #expect(names.contains("blocks.1.feedForward.fc2.weight") && names.count == 6)
  }

  @Test("engines without short numbers are named before anything is made")
  func engines() throws {
    for storage in [lean, OptimizerStorage(gradients: .bf16), OptimizerStorage(moments: .int8)] {
      func refuses<B: Backend>(_ engine: B.Type) -> Bool {
        #expect(throws: ConfigurationError.self) { try storage.check(on: engine) } != nil
      }
      #expect(refuses(Reference<Float>.self) && refuses(CPU<Double>.self) && refuses(Reference<Double>.self))
      try storage.check(on: CPU<Float>.self)
      try storage.check(on: MixedCPU.self)
    }
    try OptimizerStorage().check(on: Reference<Float>.self)
  }

  @Test("a training learns as in single precision")
  func learns() throws {
    let tokenizer = try TinyTraining.tokenizer()
    func loss(_ storage: OptimizerStorage) throws -> Double {
      var session = try session(tokenizer, steps: 90, storage)
      for iteration in 0..<90 { _ = try session.step(iteration) }
      return try session.validate().value("val_loss")
    }
    let (full, short) = (try loss(OptimizerStorage()), try loss(lean))
    // It begins at ln 32 = 3.47.
    #expect(full < 3.3 && abs(short - full) < 0.1, "\(full), in short numbers \(short)")
  }

  @Test("a checkpoint holds codes and scales, is a model, and refuses what no run writes")
  func checkpoint() throws {
    let tokenizer = try TinyTraining.tokenizer()
    try withTemporaryFolder { folder in
      let path = "\(folder)/checkpoint.safetensors"
      var session = try session(tokenizer, lean)
      for iteration in 0..<2 { _ = try session.step(iteration) }
      try session.save(iterations: 2, to: path)
      let file = try Checkpoint.open(path)
      let key = "blocks.0.ffn.fc1.weight"
      #expect(file["trainer.first.\(key)"]?.scalarType == .uint8)
      #expect(file["trainer.first.\(key)"]?.shape == [128, 32] && file["trainer.first_scales.\(key)"]?.shape == [16])
      #expect(file["trainer.second.head.bias"]?.scalarType == .float32)
      let weights = try CheckpointWeights(path: path, .transformer, WeightsChoice())
      _ = try MarkovianTransformer<Engine>(
        TinyTraining.transformerConfiguration, CheckpointSource<Engine>(weights, .transformer, on: HostDevice()),
        on: HostDevice())

      func refusal(_ name: String, _ change: (StoredTensor) throws -> StoredTensor) throws -> String? {
        let changed = "\(folder)/changed.safetensors"
        let tensors = try file.tensors.map { ($0.name, $0.name == name ? try change($0.tensor) : $0.tensor) }
        try SafetensorsWriter.write(tensors, metadata: file.metadata, to: changed)
        var other = try self.session(tokenizer, lean)
        do {
          let first = try other.restore(from: changed)
          _ = try other.step(first)
          return nil
        } catch let error as FileError {
          return error.reason
        }
      }
      func with(_ value: Float) -> (StoredTensor) throws -> StoredTensor {
        {
          var values = try $0.floats()
          values[3] = value
          return try StoredTensor(values, shape: $0.shape)
        }
      }
      for name in ["trainer.first_scales.\(key)", "trainer.second_scales.\(key)"] {
        #expect(try refusal(name) { $0 } == nil)
        for value in [Float.nan, .infinity, -1e-30, 3e38] {
          #expect(try refusal(name, with(value))?.hasPrefix("\(name) holds \(value) at position 3, and its") == true)
        }
        let short = try refusal(name) { _ in try StoredTensor([Float](repeating: 1, count: 15), shape: [15]) }
        #expect(short == "\(name) has shape [15], the model needs [16]")
      }
      // A scale of 0 has zeros only, and the sign of a zero is no code.
      let zero = try refusal("trainer.second_scales.\(key)", with(0))
      #expect(zero?.hasSuffix(", and the scale of its block is 0") == true)
      let negative = try refusal("trainer.first.\(key)") {
        var bytes = try $0.integers().map { UInt8($0) }
        bytes[77] = 128
        return try StoredTensor(bytes, shape: $0.shape)
      }
      #expect(negative == "trainer.first.\(key) holds 128 at position 77, which would be the moment −0")
      let numbers = try refusal("trainer.first.\(key)") {
        try StoredTensor([Float](repeating: 0, count: 4096), shape: $0.shape)
      }
      #expect(numbers == "trainer.first.\(key) holds float32, and moments in int8 are bytes")
      // Codes where numbers are expected: the settings would have to be wrong as well.
      var full = try self.session(tokenizer, OptimizerStorage())
      let error = #expect(throws: FileError.self) { try full.restore(from: path) }
      #expect(error?.reason.contains("uint8") == true)
    }
  }
}
