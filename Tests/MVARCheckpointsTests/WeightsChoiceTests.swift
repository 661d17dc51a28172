// Files with several sets of weights: none is taken by guess, all are listed, and a name or a prefix chooses.

import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct WeightsChoiceTests {
  /// A state dictionary whose parameter `mark` says which set it is.
  private static func state(_ names: [String], first: Int) -> [UInt8] {
    Pickle.dictionary(
      names.map { ($0, Pickle.tensor(Pickle.storage("0", count: 6), offset: first, shape: [1], strides: [1])) })
  }
  private static let names = ["mark", "b"]

  /// Opens a file as PyTorch writes it, and the same tensors as a flat file.
  private func open(_ pairs: [(String, [UInt8])], _ body: (Checkpoint) throws -> Void) throws {
    try withTemporaryFolder { folder in
      let torch = try openBytes(Zip.torch(Pickle.program(Pickle.dictionary(pairs))), in: folder)
      try body(torch)
      try SafetensorsWriter.write(torch.tensors, to: "\(folder)/flat")
      try body(Checkpoint.open("\(folder)/flat"))
    }
  }

  /// The value by which a set is known.
  private func first(_ checkpoint: Checkpoint, _ choice: WeightsChoice = WeightsChoice()) throws -> Float {
    let weights = try checkpoint.weights(containing: "mark", choice)
    #expect(weights.tensors.map(\.name) == Self.names)
    return try weights.tensors[0].tensor.floats()[0]
  }

  private func reason(_ body: () throws -> Void) -> String? {
    #expect(throws: FileError.self) { try body() }?.reason
  }

  @Test(arguments: ["ema", "model_ema", "ema_state_dict", "shadow", "é"])
  func aModelAndItsAverage(other: String) throws {
    try open([("model", Self.state(Self.names, first: 1)), (other, Self.state(Self.names, first: 2))]) {
      (checkpoint) throws in
      let sentence =
        "holds several sets of weights with a parameter \"mark\": \"model\" (2 tensors), \"\(other)\" (2 tensors); "
        + "choose one with --weights NAME"
      #expect(reason { _ = try first(checkpoint) } == sentence)
      #expect(try first(checkpoint, WeightsChoice(name: "model")) == 1)
      #expect(try first(checkpoint, WeightsChoice(name: other)) == 2)
      #expect(try checkpoint.weights(WeightsChoice(name: other), marks: ["mark"]).prefix == other)
      #expect(
        reason { _ = try first(checkpoint, WeightsChoice(name: "mod")) }
          == "holds no weights with a parameter \"mark\" under the name \"mod\"; it holds \"model\" (2 tensors), "
          + "\"\(other)\" (2 tensors)")
    }
  }

  @Test func aBareDictionaryBesideAWrappedOne() throws {
    let tensor = Self.state(["b"], first: 1)
    let pairs = [
      ("mark", Pickle.tensor(Pickle.storage("0", count: 6), offset: 1, shape: [1], strides: [1])),
      ("b", Pickle.tensor(Pickle.storage("0", count: 6), offset: 1, shape: [1], strides: [1])),
      ("ema", Self.state(Self.names, first: 2)),
    ]
    try open(pairs) { (checkpoint) throws in
      #expect(
        reason { _ = try first(checkpoint) }?.contains("\".\" (the top level, 2 tensors), \"ema\" (2 tensors)") == true)
      #expect(try first(checkpoint, WeightsChoice(name: ".")) == 1)
      #expect(try first(checkpoint, WeightsChoice(name: "ema")) == 2)
    }
    // A dictionary of something else beside it changes nothing.
    try open(pairs.dropLast() + [("statistics", tensor)]) { (checkpoint) throws in
      let weights = try checkpoint.weights(containing: "mark")
      #expect(weights.prefix == "" && weights.tensors.prefix(2).map(\.name) == Self.names)
    }
  }

  @Test func namesThatAreTheSameAreNumbered() throws {
    let pairs = [
      ("", Self.state(Self.names, first: 1)), (".", Self.state(Self.names, first: 2)),
      ("a", Pickle.dictionary([("b", Self.state(Self.names, first: 3))])), ("a.b", Self.state(Self.names, first: 4)),
    ]
    try withTemporaryFolder { folder in
      let checkpoint = try openBytes(Zip.torch(Pickle.program(Pickle.dictionary(pairs))), in: folder)
      let names = ["#1", ".#2", "a.b#3", "a.b#4"]
      let list = names.map { "\"\($0)\" (2 tensors)" }.joined(separator: ", ")
      #expect(
        reason { _ = try first(checkpoint) }
          == "holds several sets of weights with a parameter \"mark\": \(list); choose one with --weights NAME")
      for (place, name) in names.enumerated() {
        #expect(try first(checkpoint, WeightsChoice(name: name)) == Float(place + 1))
      }
    }
  }

  @Test func wrappersPutPrefixesBeforeNames() throws {
    func prefixed(_ prefix: String) -> [String] { Self.names.map { prefix + $0 } }
    let lightning = Self.state(prefixed("model.") + ["loss.w"], first: 1)
    try open([("epoch", [0x4b, 1]), ("state_dict", lightning)]) { (checkpoint) throws in
      #expect(try first(checkpoint) == 1)
      #expect(try checkpoint.weights(containing: "mark").prefix == "state_dict.model")
    }
    let both = Self.state(prefixed("model._orig_mod."), first: 1)
    let average = Self.state(prefixed("ema."), first: 2)
    // The same dictionary: its pairs one after the other.
    let joined = Array(both.dropLast()) + average.dropFirst(2)
    try open([("state_dict", joined)]) { (checkpoint) throws in
      #expect(
        reason { _ = try first(checkpoint) }?.contains("\"state_dict.model\" (2 tensors), \"state_dict.ema\"") == true)
      #expect(try first(checkpoint, WeightsChoice(prefix: "ema.")) == 2)
      #expect(try first(checkpoint, WeightsChoice(prefix: "model")) == 1)
      #expect(try first(checkpoint, WeightsChoice(name: "ema")) == 2)
      #expect(try first(checkpoint, WeightsChoice(name: "state_dict.model")) == 1)
      #expect(
        reason { _ = try first(checkpoint, WeightsChoice(prefix: "net.")) }?.hasPrefix(
          "holds no weights with a parameter \"mark\" whose names begin with \"net.\"; it holds ") == true)
    }
  }

  @Test(arguments: ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
  func prefixesOfPyTorchsOwnWrappersHaveNoName(prefix: String) throws {
    try open([("model", Self.state(Self.names.map { prefix + $0 }, first: 3))]) { (checkpoint) throws in
      #expect(try first(checkpoint) == 3)
      #expect(try checkpoint.weights(containing: "mark").prefix == "model")
    }
  }

  @Test func optimizersAreNoWeights() throws {
    let moments = Pickle.dictionary([("exp_avg", Self.state(Self.names, first: 2))])
    try open([
      ("model", Self.state(Self.names, first: 1)), ("optimizer", moments),
      ("mvar_opt", Self.state(Self.names, first: 3)),
    ]) { (checkpoint) throws in
      #expect(try first(checkpoint) == 1)
      let weights = try checkpoint.weights(containing: "mark")
      #expect(checkpoint.tensors.indices.filter { !weights.indices.contains($0) }.count == 4)
    }
  }

  @Test func weightsOfNoKnownModelAreChosenByName() throws {
    try open([("generator", Self.state(["a"], first: 1)), ("discriminator", Self.state(["a"], first: 2))]) {
      (checkpoint) throws in
      guard checkpoint.format == .torch else { return }
      #expect(reason { _ = try checkpoint.weights() }?.hasPrefix("holds no weights; it holds ") == true)
      let chosen = try checkpoint.weights(WeightsChoice(name: "discriminator"))
      #expect(try chosen.prefix == "discriminator" && chosen.tensors[0].tensor.floats() == [2])
    }
  }
}
