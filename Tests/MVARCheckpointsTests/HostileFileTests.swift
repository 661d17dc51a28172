// One file per kind of attack or mistake, each with the sentence it must produce.
//
// The sentences are part of the interface: they are what a user sees. Fuzzing covers the rest.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct HostileFileTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let reason: String
    let bytes: [UInt8]
    var testDescription: String { reason }
    init(_ reason: String, _ bytes: [UInt8]) { (self.reason, self.bytes) = (reason, bytes) }
  }

  private func expectReason(_ item: Case) throws {
    try withTemporaryFolder { folder in
      let start = ContinuousClock.now
      let error = #expect(throws: FileError.self) {
        // What is compressed is read only with the values.
        for (_, tensor) in try openBytes(item.bytes, in: folder).tensors { try tensor.forEachPiece { _ in } }
      }
      #expect(error?.description == "\(folder)/model.pth: \(item.reason)")
      #expect(ContinuousClock.now - start < .seconds(3))
    }
  }

  // MARK: Pickles

  private static func torch(_ parts: [UInt8]...) -> [UInt8] { Zip.torch(Pickle.program(parts.flatMap { $0 })) }
  private static func join(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }
  private static func view(offset: Int = 0, shape: [Int], strides: [Int]) -> [UInt8] {
    torch(Pickle.tensor(Pickle.storage("0", count: 6), offset: offset, shape: shape, strides: strides))
  }
  /// A list that holds the previous list twice, sixty times over.
  private static let memoBomb: [UInt8] = {
    var bytes: [UInt8] = [0x5d, 0x71, 0]
    for level in UInt8(1)...60 { bytes += [0x5d, 0x71, level, 0x68, level - 1, 0x61, 0x68, level - 1, 0x61] }
    return bytes
  }()

  static let pickles: [Case] = [
    Case(
      "is a Python pickle but not a PyTorch checkpoint: it is made by os.system, which is never executed",
      Pickle.program(Pickle.global("os", "system"), Pickle.tuple(Pickle.text("id")), [0x52])),
    Case("the pickle uses instruction 0x97 at byte 2, which PyTorch never does", torch([0x97])),
    Case("the pickle calls something that is not a function", torch([0x4e, 0x29, 0x52])),
    Case("the pickle takes a value from an empty stack", torch([0x30])),
    Case("the pickle takes a value from an empty stack", torch([0x4e, 0x28, 0x85])),
    Case("the pickle recalls value 7, which it never stored", torch([0x68, 7])),
    Case(
      "the pickle ends too early; the file is truncated or damaged", Zip.torch([0x80, 2, 0x58, 0xff, 0xff, 0xff, 0x7f])),
    Case(
      "the pickle ends too early; the file is truncated or damaged",
      Zip.torch(join([0x80, 2, 0x8d], le(UInt64(1) << 62)))),
    Case(
      "the pickle holds the impossible length 18446744073709551615", Zip.torch(join([0x80, 2, 0x8e], le(UInt64.max)))),
    Case("the pickle has protocol 200; 0 to 5 are known", Zip.torch([0x80, 200, 0x4e, 0x2e])),
    Case(
      "the pickle is nested more than 200 levels deep",
      torch([UInt8](repeating: 0x5d, count: 100_000), [UInt8](repeating: 0x61, count: 99_999))),
    Case("the pickle is nested more than 200 levels deep", torch([0x29], [UInt8](repeating: 0x85, count: 100_000))),
    Case("the pickle repeats shared parts too often; the file is refused", torch(memoBomb)),
    Case(
      "the pickle takes more than 4194304 steps, far more than any checkpoint",
      torch((0..<2_100_000).flatMap { _ in [0x4e, 0x30] as [UInt8] })),
    Case(
      "the pickle holds far more objects than any checkpoint; the file is refused",
      torch([UInt8](repeating: 0x4e, count: 1_000_000))),
    Case(
      "the pickle holds far more objects than any checkpoint; the file is refused",
      torch([0x5d, 0x28], [UInt8](repeating: 0x5d, count: 200_000), [0x65])),
    Case(
      "the pickle holds far more objects than any checkpoint; the file is refused",
      torch([0x4e, 0x72], le(UInt32(1 << 20)))),
    Case(
      "the pickle repeats its texts too often; the file is refused",
      torch(
        Pickle.text(String(repeating: "a", count: 1 << 20)), [0x71, 0, 0x5d, 0x28],
        (0..<8).flatMap { _ in [0x68, 0] as [UInt8] }, [0x65])),
    Case(
      "the pickle holds a text of 1048577 bytes, longer than any checkpoint's",
      torch(Pickle.text(String(repeating: "a", count: (1 << 20) + 1)))),
    Case("a dictionary in the pickle holds the key a twice", torch(Pickle.dictionary([("a", [0x4e]), ("a", [0x4e])]))),
    Case("the pickle adds elements to something that is not a container", torch([0x4e, 0x4e, 0x61])),
    Case("the pickle holds text that is not valid UTF-8", torch([0x58, 1, 0, 0, 0, 0xff])),
  ]

  static let tensors: [Case] = [
    Case(
      "the storage \"0\" holds 24 bytes instead of 400",
      torch(Pickle.tensor(Pickle.storage("0", count: 100), shape: [100], strides: [1]))),
    Case(
      "the storage \"9\" is missing from the archive",
      torch(Pickle.tensor(Pickle.storage("9", count: 6), shape: [6], strides: [1]))),
    Case(
      "the storage \"../../etc/passwd\" is missing from the archive",
      torch(Pickle.tensor(Pickle.storage("../../etc/passwd", count: 6), shape: [6], strides: [1]))),
    Case(
      "a tensor of shape [2, 3] reaches element 6 of a storage that holds only 6",
      view(offset: 1, shape: [2, 3], strides: [3, 1])),
    Case("a tensor of shape [7] reaches element 6 of a storage that holds only 6", view(shape: [7], strides: [1])),
    Case("a tensor has a negative offset or stride", view(offset: -1, shape: [2], strides: [1])),
    Case("a tensor has a negative offset or stride", view(offset: 5, shape: [2], strides: [-1])),
    Case("a tensor has the negative dimension -2", view(shape: [-2], strides: [1])),
    Case("a tensor has 1 dimensions but 2 strides", view(shape: [2], strides: [1, 1])),
    Case("a tensor's strides overflow", view(shape: [3], strides: [.max])),
    Case("a tensor's strides overflow", view(offset: .max, shape: [2], strides: [1])),
    Case(
      "a tensor of shape [4294967296, 4294967296] is larger than any memory",
      view(shape: [1 << 32, 1 << 32], strides: [0, 0])),
    Case(
      "a tensor of shape [0, 9223372036854775807] is larger than any memory", view(shape: [0, .max], strides: [1, 1])),
    Case(
      "tensor \"model.0\": a tensor of shape [7] reaches element 6 of a storage that holds only 6",
      torch(
        Pickle.dictionary([
          ("model", Pickle.tuple(Pickle.tensor(Pickle.storage("0", count: 6), shape: [7], strides: [1])))
        ]))),
    Case("the pickle refers to a storage in a way that PyTorch never does", torch(Pickle.storage("0", count: -1))),
    Case(
      "the pickle claims a storage of 9223372036854775807 elements, larger than any memory",
      torch(Pickle.storage("0", count: .max))),
    Case(
      "the pickle gives torch._utils._rebuild_tensor_v2 arguments that make no sense",
      torch(Pickle.global("torch._utils", "_rebuild_tensor_v2"), [0x29, 0x52])),
    Case(
      "has the byte order \"middle\", which is neither little nor big", Zip.torch(Pickle.sample, order: "middle")),
    Case("the storage \"0\" does not have the size its tensors expect", Legacy.file(Pickle.sample, count: 5)),
    Case("the storage \"0\" does not have the size its tensors expect", Legacy.file(Pickle.sample, count: .max)),
    Case(
      "the data of the storages ends too early; the file is truncated or damaged",
      Legacy.file(Pickle.sample, data: [1, 2])),
    Case("the list of storages names one that no tensor uses", Legacy.file(Pickle.sample, keys: ["1"])),
    Case("tensor \"a\": the storage \"0\" is missing from the file", Legacy.file(Pickle.sample, keys: [])),
    Case("is a Python pickle but not a PyTorch checkpoint", Pickle.sample),
  ]

  // MARK: Archives

  private static let npy = Zip.Entry(name: "a.npy", bytes: NumPy.sample)
  private static func deflated(
    _ stream: [UInt8] = Deflated.stream, size: UInt32, checksum: UInt32 = Deflated.checksum
  ) -> [UInt8] {
    Zip.archive([Zip.Entry(name: "z.npy", bytes: stream, method: 8, size: size, checksum: checksum)])
  }

  /// The second entry's bytes hold a local header of their own, to which the directory points as a third entry.
  private static let overlapping: [UInt8] = {
    let inner = Array(Zip.archive([Zip.Entry(name: "b.npy", bytes: [1, 2, 3])]).prefix(38))
    let outer = Zip.Entry(name: "a.npy", bytes: inner)
    return Zip.archive([outer, Zip.Entry(name: "b.npy", bytes: [1, 2, 3], offset: 35)])
  }()

  static let archives: [Case] = [
    Case(
      "is a zip archive, but neither a PyTorch checkpoint nor a NumPy archive",
      Zip.archive([Zip.Entry(name: "readme.txt", bytes: [65])])),
    Case(
      "is a TorchScript archive, which holds program code; save the model's state_dict instead",
      Zip.archive([
        Zip.Entry(name: "m/data.pkl", bytes: Pickle.sample), Zip.Entry(name: "m/constants.pkl", bytes: Pickle.sample),
        Zip.Entry(name: "m/code/model.py", bytes: [65]),
      ])),
    Case(
      "the archive holds 2 files named data.pkl instead of one",
      Zip.archive([
        Zip.Entry(name: "m/data.pkl", bytes: Pickle.sample), Zip.Entry(name: "n/data.pkl", bytes: Pickle.sample),
      ])),
    Case("the zip archive holds the entry \"a.npy\" twice", Zip.archive([npy, npy])),
    Case("two entries of the zip archive overlap", overlapping),
    Case(
      "the zip entry \"a.npy\" has another name in its own header",
      Zip.archive([Zip.Entry(name: "a.npy", bytes: NumPy.sample, localName: "b.npy")])),
    Case(
      "the zip entry \"a.npy\" is not where the directory says",
      Zip.archive([Zip.Entry(name: "a.npy", bytes: NumPy.sample, offset: 3)])),
    Case(
      "the zip entry \"a.npy\" is not where the directory says",
      Zip.archive([Zip.Entry(name: "a.npy", bytes: NumPy.sample, offset: 0xffff_fff0)])),
    Case(
      "the zip entry \"a.npy\" is encrypted", Zip.archive([Zip.Entry(name: "a.npy", bytes: NumPy.sample, flags: 1)])),
    Case(
      "is part of a zip archive split over several files, which is not supported",
      Zip.archive([Zip.Entry(name: "a.npy", bytes: NumPy.sample, disk: 1)])),
    Case(
      "the zip entry \"a.npy\" uses compression method 12; only 0 and 8 are supported",
      Zip.archive([Zip.Entry(name: "a.npy", bytes: NumPy.sample, method: 12)])),
    Case(
      "zip entry \"m/data.pkl\": the contents do not match their checksum",
      Zip.archive([Zip.Entry(name: "m/data.pkl", bytes: Deflated.stream, method: 8, size: 5128)])),
    Case(
      "the zip entry \"a.npy\" is stored but claims two different sizes",
      Zip.archive([Zip.Entry(name: "a.npy", bytes: NumPy.sample, size: 7)])),
    Case(
      "the zip archive of 211 bytes would unfold to more than 67162880 bytes and is refused",
      deflated(size: 0xffff_fffe)),
    Case("zip entry \"z.npy\": the compressed data do not have the declared length", deflated(size: 60_000_000)),
    Case("zip entry \"z.npy\": the compressed data do not have the declared length", deflated(size: 100)),
    Case(
      "zip entry \"z.npy\": the compressed data do not have the declared length",
      deflated(Deflated.stream + [0], size: 5128)),
    Case(
      "zip entry \"z.npy\": the compressed data are damaged", deflated(Array(Deflated.stream.dropLast()), size: 5128)),
    Case("zip entry \"z.npy\": the compressed data are damaged", deflated([], size: 5128)),
    Case("zip entry \"z.npy\": the contents do not match their checksum", deflated(size: 5128, checksum: 1)),
    Case(
      "is a zip archive without its directory; the file is truncated or damaged",
      Array(Zip.torch(Pickle.sample).dropLast())),
    Case(
      "the zip directory is not where the end of the archive says; the file is damaged",
      join([0x50, 0x4b, 3, 4], Array(Zip.archive([npy]).dropFirst(8)))),
    Case(
      "array \"a.npy\": the NumPy header is malformed", Zip.archive([Zip.Entry(name: "a.npy", bytes: NumPy.file("{}"))])
    ),
  ]

  // MARK: Safetensors and NumPy

  static let headers: [Case] = [
    Case(
      "claims a safetensors header of 9223372036854775808 bytes; at most 16777216 are read",
      Safetensors.file("{}", length: 1 << 63)),
    Case("the safetensors header ends too early; the file is truncated or damaged", Safetensors.file("{}", length: 3)),
    Case("the header is not valid JSON: a key is missing at byte 1", Safetensors.file("{,}")),
    Case("the header holds the key \"a\" twice", Safetensors.file(#"{"a":{},"a":{}}"#)),
    Case("tensor \"a\": its description lacks dtype, shape or data_offsets", Safetensors.file(#"{"a":{}}"#)),
    Case("tensor \"a\": its description is not a JSON object", Safetensors.file(#"{"a":[]}"#)),
    Case(
      "the header is nested more than 16 levels deep",
      Safetensors.file(#"{"a":"# + String(repeating: "[", count: 100_000))),
    Case(
      "tensor \"a\": a float32 tensor of shape [2] takes 8 bytes, not 4",
      Safetensors.file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0])),
    Case(
      "tensor \"a\": its data lie at bytes 0 to 8 of only 4",
      Safetensors.file(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, data: [0, 0, 0, 0])),
    Case(
      "tensor \"a\": its data lie at bytes 4 to 0 of only 4",
      Safetensors.file(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, data: [0, 0, 0, 0])),
    Case(
      "tensor \"a\": a tensor of shape [4611686018427387904, 4] is larger than any memory",
      Safetensors.file(
        #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0])),
    Case(
      "tensor \"a\": its shape holds something that is not an integer from 0 up",
      Safetensors.file(#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0])),
    Case(
      "the header holds a number that is not whole at byte 29",
      Safetensors.file(#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0])),
    Case(
      "the data of tensor \"b\" overlap those of another",
      Safetensors.file(
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
        data: [0, 0, 0, 0, 0, 0])),
    Case(
      "the data of tensor \"a\" leave a hole before them",
      Safetensors.file(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#, data: [0, 0, 0, 0, 0, 0])),
    Case(
      "holds 5 bytes of data, but its tensors take 4",
      Safetensors.file(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0, 0])),
    Case("the metadata \"a\" are not text", Safetensors.file(#"{"__metadata__":{"a":1}}"#)),
    Case(
      "holds Python objects (type |O), which are never unpickled",
      NumPy.file("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }")),
    Case(
      "holds elements of the unsupported NumPy type >c8 (complex numbers)",
      NumPy.file("{'descr': '>c8', 'fortran_order': False, 'shape': (3,), }")),
    Case(
      "holds elements of the unsupported NumPy type <U7 (text)",
      NumPy.file("{'descr': '<U7', 'fortran_order': False, 'shape': (6,), }")),
    Case(
      "holds records, not plain numbers, which are not supported",
      NumPy.file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }")),
    Case(
      "a float32 tensor of shape [7] takes 28 bytes, not 24",
      NumPy.file("{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }")),
    Case(
      "a float32 array of shape [7, 2] takes 56 bytes, not 24",
      NumPy.file("{'descr': '<f4', 'fortran_order': True, 'shape': (7, 2), }")),
    Case(
      "the NumPy header is malformed",
      NumPy.file("{'descr': __import__('os').system('id'), 'fortran_order': False, 'shape': (6,)}")),
    Case("the NumPy header is malformed", NumPy.file("{'descr': '<f4', 'fortran_order': False, 'shape': (6), }")),
    Case("the NumPy header holds an unexpected \"evil\"", NumPy.file("{'evil': '<f4'}")),
    Case(
      "claims a NumPy header of 4294967280 bytes", join([0x93], Array("NUMPY".utf8), [2, 0], le(UInt32(0xffff_fff0)))),
    Case("has version 9 of NumPy's format; 1 to 3 are supported", NumPy.file("{}", version: 9)),
  ]

  static let strangers: [Case] = [
    Case("is empty", []),
    Case("is a PNG image, not a checkpoint", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    Case("is a web page, not a checkpoint", Array("<!DOCTYPE html><html>".utf8)),
    Case(
      "is a Git LFS pointer (the real file was not downloaded), not a checkpoint",
      Array("version https://git-lfs.github.com/spec/v1\noid".utf8)),
    Case("is not a checkpoint: it begins with the text \"hello\\u{a}\"", Array("hello\n".utf8)),
    Case("is not a checkpoint: it begins with the bytes 01 02 ff", [1, 2, 0xff]),
    Case("is not a checkpoint: it begins with zeros only", [UInt8](repeating: 0, count: 5000)),
  ]

  @Test(arguments: pickles) func hostilePickles(_ item: Case) throws { try expectReason(item) }
  @Test(arguments: tensors) func hostileTensors(_ item: Case) throws { try expectReason(item) }
  @Test(arguments: archives) func hostileArchives(_ item: Case) throws { try expectReason(item) }
  @Test(arguments: headers) func hostileHeaders(_ item: Case) throws { try expectReason(item) }
  @Test(arguments: strangers) func filesThatAreNoCheckpoints(_ item: Case) throws { try expectReason(item) }

  @Test func nothingWasExecuted() {
    #expect(!FileManager.default.fileExists(atPath: "/tmp/mvar-pickle-was-executed"))
  }

  @Test(.timeLimit(.minutes(5))) func thingsThatAreNotFilesAreRefused() throws {
    try withTemporaryFolder { folder in
      #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
      for (path, reason) in [
        (folder, "is a folder, not a file"), ("\(folder)/none", "the file does not exist"),
        ("\(folder)/pipe", "is a pipe, not a regular file"),
        ("/dev/zero", "is a device, not a regular file"),
      ] {
        let error = #expect(throws: FileError.self) { try Checkpoint.open(path) }
        #expect(error?.description == "\(path): \(reason)")
      }
      #expect(
        "\(#expect(throws: FileError.self) { try Checkpoint.open("") }!)"
          == "(no file name): an empty file name cannot be used")
      #expect(throws: FileError.self) { try Checkpoint.open("a\0b") }
    }
  }

  @Test func aFileThatShrinksIsNoticed() throws {
    try withTemporaryFolder { folder in
      let checkpoint = try openBytes(Safetensors.sample, in: folder)
      #expect(truncate("\(folder)/model.pth", 10) == 0)
      let error = #expect(throws: FileError.self) { try checkpoint["a"]?.floats() }
      #expect(error?.description == "\(folder)/model.pth: was shortened while it was being read")
    }
  }
}
