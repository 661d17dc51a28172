// Writes the metrics of a training run as a TensorBoard event file, without TensorFlow or a protobuf library.
//
// The file is a sequence of records: length (u64), masked CRC-32C of the length, bytes, masked CRC-32C of the bytes,
// all little-endian. The bytes are an `Event`: 1 wall time, 2 step, 3 file version (first record only), 5 summary of
// values, each with 1 tag and 2 number. Scalars only: no images, histograms or graphs.

import Foundation

/// Writes one `events.out.tfevents…` file.
public final class TensorBoardWriter {
  /// The file that is written.
  public let path: String

  private let file: AppendedFile

  /// Starts a new event file; TensorBoard shows all files of a folder as one run.
  ///
  /// - Parameter folder: where the file goes; it is created when missing.
  /// - Throws: `FileError` when the folder or the file cannot be created.
  public init(folder: String) throws {
    try RunFolder.createFolder(folder)
    let now = Date().timeIntervalSince1970
    let name = "\(folder)/events.out.tfevents.\(Int(now)).\(TensorBoardWriter.hostName())"
    // A run that is resumed within the same second needs another name.
    var path = name
    var count = 0
    while access(path, F_OK) == 0 {
      count += 1
      path = "\(name).\(count)"
    }
    self.path = path
    file = try AppendedFile(path, .onlyNew)
    try file.append(
      TensorBoardWriter.record(
        TensorBoardWriter.double(1, now) + TensorBoardWriter.bytes(3, Array("brain.Event:2".utf8)))
    )
  }

  /// Adds the values of one step; they have been passed to the system when this returns.
  ///
  /// - Parameters:
  ///   - step: the number of optimizer steps done.
  ///   - values: tags such as `loss/train` and their numbers, which are stored as Float.
  /// - Throws: `FileError` when the record cannot be written.
  public func append(step: Int, values: [(String, Double)]) throws {
    try file.append(
      TensorBoardWriter.record(
        TensorBoardWriter.event(wallTime: Date().timeIntervalSince1970, step: step, values: values)))
  }

  /// The `Event` message of one step.
  package static func event(wallTime: Double, step: Int, values: [(String, Double)]) -> [UInt8] {
    let summary = values.flatMap { tag, value in
      bytes(1, bytes(1, Array(tag.utf8)) + key(2, 5) + littleEndian(Float(value).bitPattern))
    }
    return double(1, wallTime) + key(2, 0) + variable(UInt64(bitPattern: Int64(step))) + bytes(5, summary)
  }

  /// A message framed by its length and the two checksums.
  package static func record(_ message: [UInt8]) -> [UInt8] {
    let length = littleEndian(UInt64(message.count))
    return length + littleEndian(CRC32C.masked(length)) + message + littleEndian(CRC32C.masked(message))
  }

  // MARK: Protobuf's wire format

  private static func key(_ field: UInt64, _ type: UInt64) -> [UInt8] { variable(field << 3 | type) }

  private static func double(_ field: UInt64, _ value: Double) -> [UInt8] {
    key(field, 1) + littleEndian(value.bitPattern)
  }

  private static func bytes(_ field: UInt64, _ value: [UInt8]) -> [UInt8] {
    key(field, 2) + variable(UInt64(value.count)) + value
  }

  /// Seven bits per byte, lowest first; the high bit says that more follow.
  private static func variable(_ value: UInt64) -> [UInt8] {
    var result: [UInt8] = []
    var rest = value
    while rest >= 0x80 {
      result.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return result + [UInt8(rest)]
  }

  private static func littleEndian<Number: FixedWidthInteger>(_ value: Number) -> [UInt8] {
    (0..<Number.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// The machine's name if it is valid in a file name, else `mvar`.
  private static func hostName() -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let succeeded = buffer.withUnsafeMutableBytes { raw in
      raw.withMemoryRebound(to: CChar.self) { text in
        text.baseAddress.map { gethostname($0, text.count - 1) == 0 } ?? false
      }
    }
    let name = buffer.prefix { $0 != 0 }
    let isPlain = name.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
        true
      default: false
      }
    }
    guard succeeded, isPlain, !name.isEmpty, name.count <= 64 else { return "mvar" }
    return String(decoding: name, as: UTF8.self)
  }
}
