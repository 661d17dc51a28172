// The memory that `mvar inspect` takes at every limit of the readers: at most 64 MiB and twice the length of the file,
// whether the file is read or refused. The number is the system's own, of a process that reads nothing else.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct MemoryLimitTests {
  struct File: CustomTestStringConvertible, Sendable {
    let testDescription: String
    /// Nil where the file is read.
    let refusal: String?
    let bytes: @Sendable () throws -> [UInt8]
    init(_ name: String, refusal: String? = nil, _ bytes: @escaping @Sendable () throws -> [UInt8]) {
      (testDescription, self.refusal, self.bytes) = (name, refusal, bytes)
    }
  }

  private static func repeated(_ count: Int, _ part: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count * part.count)
    for _ in 0..<count { result += part }
    return result
  }
  private static func list(_ count: Int, _ part: [UInt8], after start: [UInt8] = []) -> [UInt8] {
    Pickle.program(start, [0x5d, 0x28], repeated(count, part), [0x65])
  }
  /// A stored archive with the pickle only.
  private static func torch(_ pickle: [UInt8]) -> [UInt8] {
    Zip.archive([Zip.Entry(name: "m/data.pkl", bytes: pickle, checksum: 0)])
  }
  /// Many views of one element, made of arguments that are stored once, with `rank` dimensions.
  private static func views(_ count: Int, rank: Int, under key: String = "") -> [UInt8] {
    let ones = [UInt8](repeating: 0, count: rank).flatMap { _ in [0x4b, 1] as [UInt8] }
    let arguments =
      Pickle.tuple(
        Pickle.storage("0", count: 6), [0x4b, 0], [0x28] + ones + [0x74], [0x28] + ones + [0x74], [0x89], [0x29])
    let start = Pickle.global("torch._utils", "_rebuild_tensor_v2") + [0x71, 0, 0x30] + arguments + [0x71, 1, 0x30]
    let list = [0x5d, 0x28] + repeated(count, [0x68, 0, 0x68, 1, 0x52]) + [0x65]
    let root = key.isEmpty ? list : [0x7d] + Pickle.text(key) + list + [0x73]
    return Zip.torch(Pickle.program(start, root))
  }
  /// Zeros compressed with DEFLATE's fixed codes: 13 bits for every 258 bytes.
  private static func zeros(_ count: Int) -> [UInt8] {
    var (bytes, bits, filled): ([UInt8], UInt32, UInt32) = ([], 0, 0)
    func put(_ text: String) {
      for bit in text {
        bits |= (bit == "1" ? 1 : 0) << filled
        filled += 1
        if filled == 8 {
          bytes.append(UInt8(bits))
          (bits, filled) = (0, 0)
        }
      }
    }
    put("110")  // the last block, fixed codes
    var rest = count
    repeat {
      put("00110000")  // one zero
      rest -= 1
    } while rest % 258 != 0
    while rest > 0 {
      put("1100010100000")  // 258 bytes like the one before
      rest -= 258
    }
    put("0000000")
    if filled > 0 { bytes.append(UInt8(bits)) }
    return bytes
  }
  private static let tensorCount = 15_000_000
  /// A file whose storage of 60 MB takes 0.4 MB.
  private static func compressed() -> [UInt8] {
    let root = Pickle.dictionary([
      ("w", Pickle.tensor(Pickle.storage("0", count: tensorCount), shape: [tensorCount], strides: [1]))
    ])
    return Zip.archive([
      Zip.Entry(name: "m/data.pkl", bytes: Pickle.program(root)),
      Zip.Entry(
        name: "m/data/0", bytes: zeros(4 * tensorCount), method: 8, size: UInt32(4 * tensorCount),
        checksum: zeroChecksum),
    ])
  }
  /// The CRC-32 of the storage's zeros.
  private static let zeroChecksum = Zip.checksum(ofZeros: 4 * tensorCount)
  private static func metadata(_ entries: Int) -> [UInt8] {
    Safetensors.file("{\"__metadata__\":{" + (0..<entries).map { "\"\($0)\":\"\"" }.joined(separator: ",") + "}}")
  }
  private static func tensors(_ count: Int) -> [UInt8] {
    let members = (0..<count).map {
      "\"\($0)\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[\(4 * $0),\(4 * $0 + 4)]}"
    }
    return Safetensors.file(
      "{" + members.joined(separator: ",") + "}", data: [UInt8](repeating: 0, count: 4 * count))
  }

  private static let many = "far more objects than any checkpoint"
  private static let objects = FileLimits.pickleObjects
  private static let elements = FileLimits.pickleElements

  static let files: [File] = [
    File("empty containers") { torch(list(objects - 2, [0x7d])) },
    File("containers of one") { torch(list(objects - 2, [0x4e, 0x85])) },
    File("containers of two") { torch(list(elements / 3 - 2, [0x4e, 0x4e, 0x86])) },
    File("dictionaries of one") { torch(list(elements / 3 - 2, [0x7d] + Pickle.text("a") + [0x4e, 0x73])) },
    File("containers that are all remembered") {
      torch(Pickle.program([0x80, 4, 0x5d, 0x28], repeated(objects - 2, [0x29, 0x94]), [0x65]))
    },
    File("4 M empty lists", refusal: many) { torch(list(4_000_000, [0x5d])) },
    File("a stack", refusal: many) { torch(Pickle.program(repeated(4_000_000, [0x4e]))) },
    File("marks", refusal: many) { torch(Pickle.program(repeated(4_000_000, [0x28]))) },
    File("a memo", refusal: many) {
      torch(Pickle.program([0x80, 4], repeated(1_300_000, [0x4e, 0x94, 0x30])))
    },
    File("long names of classes", refusal: many) {
      let name = Pickle.text(String(repeating: "a", count: 4000))
      return torch(list(4000, [0x68, 0, 0x68, 0, 0x93], after: name + [0x71, 0, 0x30]))
    },
    File("skipped objects") {
      torch(list(30_000, [0x68, 0, 0x29, 0x52], after: Pickle.global("a", "b") + [0x71, 0, 0x30]))
    },
    File("a long text") { torch(Pickle.program(Pickle.text(String(repeating: "a", count: FileLimits.textBytes)))) },
    File("texts that are repeated", refusal: "repeats its texts too often") {
      let text = Pickle.text(String(repeating: "a", count: 100))
      return torch(list(elements - 2, [0x68, 0], after: text + [0x71, 0, 0x30]))
    },
    File("bytes spelled as text", refusal: many) {
      let bytes = Pickle.global("_codecs", "encode") + [0x71, 0, 0x30]
      let text =
        Pickle.tuple(Pickle.text(String(repeating: "a", count: 100_000)), Pickle.text("latin1")) + [0x71, 1, 0x30]
      return torch(list(400, [0x68, 0, 0x68, 1, 0x52], after: bytes + text))
    },
    File("a large pickle") {
      let count = FileLimits.pickleBytes - 100
      return torch(Pickle.program([0x42] + le(UInt32(count)), [UInt8](repeating: 0, count: count)))
    },
    File("tensors") { views(FileLimits.tensors, rank: 1) },
    File("tensors of 64 dimensions") { views(FileLimits.tensors, rank: 64) },
    File("tensors with long names") { views(FileLimits.tensors, rank: 1, under: String(repeating: "k", count: 110)) },
    File("too many tensors", refusal: "more than 32768 tensors") { views(FileLimits.tensors + 1, rank: 1) },
    File("too long names of tensors", refusal: "names of the tensors take too much memory") {
      views(FileLimits.tensors, rank: 1, under: String(repeating: "k", count: 4000))
    },
    File("entries of metadata") { metadata(FileLimits.metadataEntries) },
    File("too many entries of metadata", refusal: "holds 20000 entries of metadata") { metadata(20_000) },
    File("4 M entries of metadata", refusal: "claims a safetensors header") { metadata(4_000_000) },
    File("a long text in metadata") {
      Safetensors.file("{\"__metadata__\":{\"a\":\"\(String(repeating: "b", count: FileLimits.headerBytes - 40))\"}}")
    },
    File("a long text of escapes in metadata") {
      Safetensors.file(
        "{\"__metadata__\":{\"a\":\"\(String(repeating: "\\n", count: FileLimits.headerBytes / 2 - 20))\"}}")
    },
    File("empty arrays in a header", refusal: "not a JSON object") {
      Safetensors.file(
        "{\"a\":[" + [String](repeating: "[]", count: FileLimits.headerValues - 2).joined(separator: ",") + "]}")
    },
    File("small objects in a header", refusal: "not a JSON object") {
      let count = FileLimits.headerValues / 2 - 2
      return Safetensors.file("{\"a\":[" + [String](repeating: "{\"a\":0}", count: count).joined(separator: ",") + "]}")
    },
    File("keys in a header", refusal: "holds an unexpected") {
      Safetensors.file(
        "{\"a\":{" + (0..<FileLimits.headerValues - 2).map { "\"\($0)\":0" }.joined(separator: ",") + "}}")
    },
    File("tensors in a header") { tensors(FileLimits.tensors) },
    File("too many tensors in a header", refusal: "holds 33000 tensors") { tensors(33_000) },
    File("entries of an archive") {
      let pickle = Zip.Entry(name: "m/data.pkl", bytes: Pickle.program([0x4e]))
      return Zip.archive([pickle] + (0..<65_000).map { Zip.Entry(name: "\($0)", bytes: []) })
    },
    File("arrays of an archive") {
      let checksum = Zip.checksum(NumPy.sample)
      return Zip.archive(
        (0..<FileLimits.tensors).map { Zip.Entry(name: "\($0).npy", bytes: NumPy.sample, checksum: checksum) })
    },
    File("a compressed storage", { compressed() }),
  ]

  private func run(_ arguments: [String], in folder: String) throws -> (result: BuiltProgram.Result, peak: Int) {
    let result = try BuiltProgram.run(
      BuiltProgram.path("mvar"), arguments, in: folder,
      environment: ["MVAR_REPORT_PEAK": "1", "OPENBLAS_NUM_THREADS": "1"])
    let peak = result.errors.split(separator: "\n").last { $0.hasPrefix("peak ") }?.split(separator: " ").dropFirst()
      .first
    return (result, try #require(peak.flatMap { Int($0) }, "\(result.errors)"))
  }

  @Test(arguments: files) func inspectionTakesLittleMemory(_ file: File) throws {
    try withTemporaryFolder { folder in
      let bytes = try file.bytes()
      try Data(bytes).write(to: URL(filePath: "\(folder)/a"))
      let (result, peak) = try run(["inspect", "a"], in: folder)
      #expect(!result.wasKilled && result.code == (file.refusal == nil ? 0 : 1), "\(result.errors)")
      if let refusal = file.refusal { #expect(result.errors.contains(refusal), "\(result.errors)") }
      let limit = (64 << 20) + 2 * bytes.count
      #expect(peak <= limit, "\(file.testDescription): \(peak >> 20) MiB for \(bytes.count) bytes")
      print("memory: \(file.testDescription): \(bytes.count) bytes, \(peak >> 20) MiB of \(limit >> 20)")
    }
  }

  @Test func listingAllTensorsTakesLittleMemory() throws {
    try withTemporaryFolder { folder in
      let bytes = Self.views(FileLimits.tensors, rank: 1)
      try Data(bytes).write(to: URL(filePath: "\(folder)/a"))
      let (result, peak) = try run(["inspect", "a", "--tensors"], in: folder)
      #expect(result.code == 0 && peak <= (64 << 20) + 2 * bytes.count, "\(peak >> 20) MiB")
    }
  }

  @Test func loadingTakesTheResultAndLittleMore() throws {
    try withTemporaryFolder { folder in
      try Data(Self.compressed()).write(to: URL(filePath: "\(folder)/a.pth"))
      let (result, peak) = try run(["convert", "a.pth", "b.safetensors"], in: folder)
      #expect(result.code == 0 && peak <= 128 << 20, "\(peak >> 20) MiB \(result.errors)")
      #expect(try Checkpoint.open("\(folder)/b.safetensors")["w"]?.count == Self.tensorCount)
    }
  }
}
