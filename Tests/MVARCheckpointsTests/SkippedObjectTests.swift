// What training scripts store beside weights, and what no pickle reader should run: it is named and skipped, and nothing
// depends on it but what is made of it.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct SkippedObjectTests {
  private static let tensor = Pickle.tensor(Pickle.storage("0", count: 6), shape: [6], strides: [1])
  private static let system = Pickle.global("os", "system")
  private static let command = Pickle.tuple(Pickle.text("touch /tmp/mvar-skipped-was-executed"))

  private func open(_ pairs: [(String, [UInt8])], _ body: (Checkpoint) throws -> Void) throws {
    try withTemporaryFolder { folder in
      for file in [
        Zip.torch(Pickle.program(Pickle.dictionary(pairs))), Legacy.file(Pickle.program(Pickle.dictionary(pairs))),
      ] {
        try body(try openBytes(file, in: folder))
      }
    }
    #expect(!FileManager.default.fileExists(atPath: "/tmp/mvar-skipped-was-executed"))
  }

  struct Object: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let pickle: [UInt8]
    let path: String
    init(_ name: String, _ pickle: [UInt8], at path: String = "x") {
      (testDescription, self.pickle, self.path) = (name, pickle, path)
    }
  }

  /// Each as Python writes it.
  static let objects: [Object] = [
    Object("os.system", system + command + [0x52]),
    Object("posix.system", [0x28] + Pickle.text("id") + Array("iposix\nsystem\n".utf8)),
    Object(
      "builtins.eval", Pickle.text("builtins") + Pickle.text("eval") + [0x93] + Pickle.tuple(Pickle.text("1")) + [0x52]),
    Object("torch.load", Pickle.global("torch", "load") + [0x29, 0x52]),
    Object(
      "pathlib.PosixPath",
      Pickle.global("argparse", "Namespace") + [0x29, 0x81, 0x7d] + Pickle.text("out")
        + Pickle.global("pathlib", "PosixPath") + Pickle.tuple(Pickle.text("/"), Pickle.text("tmp")) + [
          0x52, 0x73, 0x62,
        ],
      at: "x.out"),
    Object(
      "datetime.datetime",
      Pickle.global("datetime", "datetime") + [0x43, 10, 7, 0xea, 1, 1, 0, 0, 0, 0, 0, 0, 0x85, 0x52]),
    Object(
      "numpy.core.multiarray._reconstruct",
      Pickle.global("numpy.core.multiarray", "_reconstruct")
        + Pickle.tuple(Pickle.global("numpy", "ndarray"), Pickle.ints([0]), [0x43, 1, 0x62]) + [0x52]
        + Pickle.tuple([0x4b, 1], Pickle.ints([1]), [0x4e], [0x89], [0x43, 1, 7]) + [0x62]),
    Object(
      "builtins.getattr",
      Pickle.global("builtins", "getattr") + Pickle.tuple(Pickle.global("a", "Color"), Pickle.text("R")) + [0x52]),
    Object("a.Color", Pickle.global("a", "Color") + [0x4b, 1, 0x85, 0x52]),
    Object("a.State", Pickle.global("a", "State") + [0x29, 0x7d, 0x92]),
    Object("a.Old", [0x28] + Pickle.global("a", "Old") + [0x4b, 1, 0x6f]),
    Object(
      "a.Base",
      Pickle.global("copyreg", "_reconstructor")
        + Pickle.tuple(Pickle.global("a", "Base"), Pickle.global("builtins", "object"), [0x4e]) + [0x52, 0x7d, 0x62]),
    Object("a.Dict", Pickle.global("a", "Dict") + [0x29, 0x81, 0x28] + Pickle.text("k") + [0x4b, 1, 0x75]),
    Object("a.List", Pickle.global("a", "List") + [0x29, 0x81, 0x28, 0x4b, 1, 0x65]),
    Object(
      "functools.partial", Pickle.global("functools", "partial") + Pickle.tuple(system) + [0x52] + command + [0x52]),
    Object("extension 7 of Python's registry", [0x82, 7]),
    Object(
      "numpy.core.multiarray.scalar",
      Pickle.global("numpy.core.multiarray", "scalar")
        + Pickle.tuple(Pickle.global("numpy", "dtype") + Pickle.tuple(Pickle.text("c16")) + [0x52], [0x43, 1, 7]) + [
          0x52
        ]),
    Object("torch.FloatStorage", Pickle.global("torch", "FloatStorage") + [0x29, 0x52]),
  ]

  @Test(arguments: objects) func objectsBesideWeightsAreNamed(_ object: Object) throws {
    try open([("x", object.pickle), ("model", Pickle.dictionary([("w", Self.tensor)]))]) { (checkpoint) throws in
      #expect(checkpoint.skipped.map(\.name) == [object.path])
      let found = try #require(checkpoint.skipped.first?.object)
      #expect(found.name == object.testDescription && !found.isTensor)
      #expect(found.reason == "made by \(object.testDescription), which is never executed")
      #expect(try checkpoint.weights().tensors[0].tensor.floats() == [0, 1, 2, 3, 4, 5])
    }
  }

  @Test func containersOfTheStandardLibraryAreRead() throws {
    let counter = Pickle.global("collections", "Counter") + [0x7d] + Pickle.text("a") + [0x4b, 3, 0x73, 0x85, 0x52]
    let defaults =
      Pickle.global("collections", "defaultdict") + Pickle.global("a", "make") + [0x85, 0x52, 0x28] + Pickle.text("w")
      + Self.tensor + [0x75]
    try open([("c", counter), ("d", defaults), ("t", Pickle.global("torch", "complex64"))]) { (checkpoint) throws in
      #expect(checkpoint.skipped.isEmpty)
      #expect(checkpoint.root["c"]?["a"]?.int == 3)
      #expect(checkpoint["d.w"]?.count == 6)
      if case .global("torch.complex64")? = checkpoint.root["t"] {} else { Issue.record("the type is missing") }
    }
  }

  /// Tensors that cannot be held, by their own names.
  static let tensors: [(String, [UInt8])] = [
    (
      "a tensor of complex64 numbers",
      Pickle.tensor(Pickle.storage("0", "ComplexFloatStorage", count: 3), shape: [3], strides: [1])
    ),
    (
      "a negated or conjugated tensor",
      Pickle.global("torch._utils", "_rebuild_tensor_v2")
        + Pickle.tuple(
          Pickle.storage("0", count: 6), [0x4b, 0], Pickle.ints([6]), Pickle.ints([1]), [0x89], [0x4e],
          Pickle.dictionary([("neg", [0x88])])) + [0x52]
    ),
    (
      "a sparse tensor",
      Pickle.global("torch._utils", "_rebuild_sparse_tensor") + Pickle.tuple([0x4e], Pickle.tuple(tensor, tensor)) + [
        0x52
      ]
    ),
    (
      "a tensor of shape [1099511627776] that repeats the elements of a small storage",
      Pickle.tensor(Pickle.storage("0", count: 6), shape: [1 << 40], strides: [0])
    ),
    ("a quantized tensor", Pickle.global("torch._utils", "_rebuild_qtensor") + [0x29, 0x52]),
    (
      "a tensor of quantized qint8 numbers",
      Pickle.tensor(Pickle.storage("0", "QInt8Storage", count: 24), shape: [24], strides: [1])
    ),
    (
      "a sparse tensor",
      Pickle.global("torch._utils", "_rebuild_parameter")
        + Pickle.tuple(Pickle.global("torch._utils", "_rebuild_sparse_tensor") + [0x29, 0x52], [0x88], [0x4e]) + [0x52]
    ),
  ]

  @Test(arguments: tensors) func tensorsThatCannotBeHeldAreNamedWhereTheyAreWanted(_ kind: String, _ pickle: [UInt8])
    throws
  {
    try withTemporaryFolder { folder in
      let root = Pickle.dictionary([("model", Pickle.dictionary([("bad", pickle), ("w", Self.tensor)]))])
      let checkpoint = try openBytes(Zip.torch(Pickle.program(root)), in: folder)
      #expect(checkpoint.skipped.map(\.name) == ["model.bad"])
      #expect(checkpoint.skipped.first?.object.reason == "\(kind), which is not supported")
      let weights = try checkpoint.weights()
      #expect(weights.tensors.map(\.name) == ["w"] && weights.skipped.map(\.name) == ["bad"])
      #expect(weights.skipped.first?.object.isTensor == true)
    }
  }

  @Test func whatContainsItselfIsSkipped() throws {
    // A list, a dictionary in a dictionary, and two that hold one another.
    let list: [UInt8] = [0x5d, 0x71, 0, 0x68, 0, 0x61]
    let dictionary = [0x7d, 0x71, 1] + Pickle.text("a") + [0x7d] + Pickle.text("b") + [0x68, 1, 0x73, 0x73]
    let pair = [0x5d, 0x71, 2, 0x5d, 0x71, 3, 0x68, 2, 0x61, 0x61] as [UInt8]
    try open([("l", list), ("d", dictionary), ("p", pair), ("model", Pickle.dictionary([("w", Self.tensor)]))]) {
      (checkpoint) throws in
      #expect(checkpoint.skipped.map(\.name) == ["l.0", "d.a.b", "p.0.0"])
      for (_, object) in checkpoint.skipped {
        #expect(object.reason == "an object that contains itself, which is not supported" && !object.isTensor)
      }
      #expect(try checkpoint.weights().tensors[0].tensor.floats() == [0, 1, 2, 3, 4, 5])
    }
  }

  @Test func whatIsRepeatedBeyondTheBudgetIsSkipped() throws {
    let largest = Pickle.tensor(Pickle.storage("0", count: 6), shape: [1 << 24], strides: [0])
    try open([("x", [0x28] + (0..<5).flatMap { _ in largest } + [0x74]), ("w", Self.tensor)]) { (checkpoint) throws in
      #expect(checkpoint.tensors.map(\.name) == ["x.0", "x.1", "x.2", "x.3", "w"].filter { checkpoint[$0] != nil })
      #expect(checkpoint.skipped.map(\.name).last == "x.4")
      let areTensors = checkpoint.skipped.allSatisfy { $0.object.isTensor }
      #expect(areTensors)
      #expect(try checkpoint["w"]?.floats() == [0, 1, 2, 3, 4, 5])
    }
  }

  @Test func whatIsNoTensorAmongTensorsIsTold() throws {
    let state = Pickle.dictionary([("w", Self.tensor), ("v", [0x4b, 1]), ("t", Pickle.text("x")), ("n", [0x4e])])
    try open([("epoch", [0x4b, 3]), ("model", state)]) { (checkpoint) throws in
      let weights = try checkpoint.weights()
      #expect(weights.others.map(\.name) == ["v", "t", "n"])
      #expect(weights.others.map(\.kind) == ["a number", "text", "None"])
    }
  }

  @Test func severalTensorsMayHaveTheSameName() throws {
    func tensor(_ place: Int) -> [UInt8] {
      Pickle.tensor(Pickle.storage("0", count: 6), offset: place, shape: [1], strides: [1])
    }
    let keys: [UInt8] = [0x7d, 0x28, 0x4b, 1] + tensor(3) + Pickle.text("1") + tensor(4) + [0x75]
    try open([
      ("a.b", tensor(1)), ("a", Pickle.dictionary([("b", tensor(2))])),
      ("model", Pickle.dictionary([("w", tensor(5))])),
      ("keys", keys),
    ]) { (checkpoint) throws in
      #expect(checkpoint.tensors.map(\.name) == ["a.b", "a.b", "model.w", "keys.1", "keys.1"])
      // Neither is taken for the other, but each is in a set of its own.
      #expect(checkpoint["a.b"] == nil && checkpoint["keys.1"] == nil && checkpoint["model.w"] != nil)
      #expect(try checkpoint.weights().tensors[0].tensor.floats() == [5])
      #expect(try checkpoint.weights(WeightsChoice(name: "a")).tensors[0].tensor.floats() == [2])
      let both = try checkpoint.weights(WeightsChoice(name: "keys"))
      #expect(both.tensors.map(\.name) == ["1", "1"])
    }
  }

  @Test func aModelThatWasSavedWholeIsNamed() throws {
    let model =
      Pickle.global("model", "MVAR") + [0x29, 0x81] + Pickle.dictionary([("_parameters", Self.tensor)]) + [0x62]
    try withTemporaryFolder { folder in
      let checkpoint = try openBytes(Zip.torch(Pickle.program(model)), in: folder)
      let error = #expect(throws: FileError.self) { try checkpoint.weights() }
      #expect(
        error?.reason
          == "holds no weights; it holds no tensors at all; the whole is made by model.MVAR, which is never executed")
    }
  }

  @Test func unsupportedTypesOfSafetensorsAreSkipped() throws {
    let header =
      #"{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}"#
    try withTemporaryFolder { folder in
      let checkpoint = try openBytes(Safetensors.file(header, data: [0, 1, 2, 3]), in: folder)
      #expect(checkpoint.skipped.first?.object.reason == "a tensor of type F4, which is not supported")
      #expect(try checkpoint["w"]?.integers() == [1, 2, 3])
    }
  }
}
