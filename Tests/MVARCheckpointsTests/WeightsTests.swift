// Finding a model's weights in the wrappers that training scripts put around them.

import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct WeightsTests {
  private static let tensor = Pickle.tensor(Pickle.storage("0", count: 6), shape: [6], strides: [1])
  private static func state(_ names: String...) -> [UInt8] { Pickle.dictionary(names.map { ($0, tensor) }) }

  private func open(_ root: [UInt8], _ body: (Checkpoint) throws -> Void) throws {
    try withTemporaryFolder { try body(try openBytes(Zip.torch(Pickle.program(root)), in: $0)) }
  }

  @Test(arguments: ["mvar_wo_ddp", "var_wo_ddp", "vae_wo_ddp", "vae_local", "state_dict", "model"])
  func oneWrapperIsSeenThrough(wrapper: String) throws {
    let root = Pickle.dictionary([("epoch", [0x4b, 1]), (wrapper, Self.state("module.a.w", "module.b"))])
    try open(root) { checkpoint in
      let weights = try checkpoint.weights()
      #expect(weights.prefix == wrapper && weights.tensors.map(\.name) == ["a.w", "b"])
    }
  }

  @Test func bareDictionariesNeedNoWrapper() throws {
    try open(Self.state("_orig_mod.module.a", "_orig_mod.module.b")) { checkpoint in
      let weights = try checkpoint.weights()
      #expect(weights.prefix == "" && weights.tensors.map(\.name) == ["a", "b"])
    }
    try open(Self.state("module.a", "b")) { checkpoint in
      let names = try checkpoint.weights().tensors.map(\.name)
      #expect(names == ["module.a", "b"])
    }
  }

  @Test func severalSetsAreChosenByAParameter() throws {
    let trainer = Pickle.dictionary([
      ("vae_local", Self.state("quantize.embedding.weight", "x")),
      ("mvar_wo_ddp", Self.state("word_embed.weight", "x")),
      ("mvar_opt", Pickle.dictionary([("state", Self.state("exp_avg"))])),
    ])
    let root = Pickle.dictionary([("epoch", Self.tensor), ("trainer", trainer)])
    try open(root) { checkpoint in
      #expect(try checkpoint.weights(containing: "word_embed.weight").prefix == "trainer.mvar_wo_ddp")
      #expect(try checkpoint.weights(containing: "quantize.embedding.weight").prefix == "trainer.vae_local")
      for (key, reason) in [
        (
          nil,
          "holds several sets of weights: \"trainer.vae_local\" (2 tensors), \"trainer.mvar_wo_ddp\" (2 tensors); "
            + "choose one with --weights NAME"
        ),
        (
          "x",
          "holds several sets of weights with a parameter \"x\": \"trainer.vae_local\" (2 tensors), "
            + "\"trainer.mvar_wo_ddp\" (2 tensors); choose one with --weights NAME"
        ),
        (
          "y",
          "holds no weights with a parameter \"y\"; it holds \"epoch\", \"trainer.vae_local.quantize.embedding.weight\", "
            + "\"trainer.vae_local.x\", \"trainer.mvar_wo_ddp.word_embed.weight\", \"trainer.mvar_wo_ddp.x\" and 1 more"
        ),
      ] {
        let error = #expect(throws: FileError.self) {
          _ = try key.map { try checkpoint.weights(containing: $0) } ?? checkpoint.weights()
        }
        #expect(error?.reason == reason)
      }
      // The same after conversion, where the wrappers have become parts of the names.
      try withTemporaryFolder { folder in
        try SafetensorsWriter.write(checkpoint.tensors, to: "\(folder)/flat")
        let flat = try Checkpoint.open("\(folder)/flat")
        let weights = try flat.weights(containing: "word_embed.weight")
        #expect(weights.prefix == "trainer.mvar_wo_ddp" && weights.tensors.map(\.name) == ["word_embed.weight", "x"])
      }
    }
  }

  @Test func aFileWithoutTensorsSaysSo() throws {
    try open([0x4e]) { checkpoint in
      #expect(checkpoint.tensors.isEmpty)
      let error = #expect(throws: FileError.self) { try checkpoint.weights() }
      #expect(error?.reason == "holds no weights; it holds no tensors at all")
    }
  }
}
