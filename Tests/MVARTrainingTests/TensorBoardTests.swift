// Event files read back with a reader written here from the format's specification: records with masked CRC-32C,
// protobuf's wire format, and the fields of an Event. Neither TensorFlow nor Python is needed, and no code of the
// writer is used.

import Foundation
import MVARTestSupport
import MVARTraining
import Testing

@Suite("TensorBoard events")
struct TensorBoardTests {
  // MARK: An independent reader

  /// Why a file is not an event file.
  private struct Broken: Error, CustomStringConvertible {
    let description: String
  }

  /// One field of a protobuf message.
  private enum Field {
    case number(UInt64)
    case bytes([UInt8])
  }

  /// The contents of one record.
  private struct Event {
    var wallTime: Double?
    var step: Int64?
    var version: String?
    var values: [(tag: String, value: Float)] = []
  }

  /// CRC-32C bit by bit, most significant bit first with the polynomial as it is printed, 0x1EDC6F41: unlike the table
  /// of reflected bytes.
  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var remainder: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      for bit in 0..<8 {
        let incoming = UInt32(byte >> UInt8(bit) & 1)
        let top = remainder >> 31
        remainder <<= 1
        if top ^ incoming == 1 { remainder ^= 0x1EDC_6F41 }
      }
    }
    var reflected: UInt32 = 0
    for bit in 0..<32 where remainder >> UInt32(bit) & 1 == 1 { reflected |= 1 << UInt32(31 - bit) }
    return ~reflected
  }

  /// The unmasked checksum.
  private static func unmasked(_ value: UInt32) -> UInt32 {
    let rotated = value &- 0xA282_EAD8
    return rotated << 15 | rotated >> 17
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The messages of a file, after checking every length and checksum.
  private static func records(_ file: [UInt8]) throws -> [[UInt8]] {
    var rest = file[...]
    var records: [[UInt8]] = []
    func allocate(_ count: Int) throws -> ArraySlice<UInt8> {
      guard rest.count >= count else {
        throw Broken(description: "\(rest.count) bytes are left, and \(count) are needed")
      }
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }
    while !rest.isEmpty {
      let length = try allocate(8)
      guard unmasked(UInt32(number(try allocate(4)))) == checksum(Array(length)) else {
        throw Broken(description: "the checksum of the length of record \(records.count) is wrong")
      }
      let message = Array(try allocate(Int(number(length))))
      guard unmasked(UInt32(number(try allocate(4)))) == checksum(message) else {
        throw Broken(description: "the checksum of record \(records.count) is wrong")
      }
      records.append(message)
    }
    return records
  }

  /// The fields of a protobuf message.
  private static func fields(_ message: [UInt8]) throws -> [(number: UInt64, value: Field)] {
    var rest = message[...]
    func byte() throws -> UInt8 {
      guard let first = rest.popFirst() else { throw Broken(description: "the message ends within a field") }
      return first
    }
    func allocate(_ count: Int) throws -> ArraySlice<UInt8> {
      guard rest.count >= count else { throw Broken(description: "the message ends within a field") }
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }
    func variable() throws -> UInt64 {
      var (result, shift): (UInt64, UInt64) = (0, 0)
      while true {
        let next = try byte()
        result |= UInt64(next & 0x7F) << shift
        if next < 0x80 { return result }
        shift += 7
      }
    }
    var found: [(number: UInt64, value: Field)] = []
    while !rest.isEmpty {
      let key = try variable()
      switch key & 7 {
      case 0: found.append((key >> 3, .number(try variable())))
      case 1: found.append((key >> 3, .number(number(try allocate(8)))))
      case 2: found.append((key >> 3, .bytes(Array(try allocate(Int(try variable()))))))
      case 5: found.append((key >> 3, .number(number(try allocate(4)))))
      default: throw Broken(description: "field \(key >> 3) has the wire type \(key & 7)")
      }
    }
    return found
  }

  private static func event(_ message: [UInt8]) throws -> Event {
    var event = Event()
    for field in try fields(message) {
      switch field {
      case (1, .number(let bits)): event.wallTime = Double(bitPattern: bits)
      case (2, .number(let bits)): event.step = Int64(bitPattern: bits)
      case (3, .bytes(let text)): event.version = String(decoding: text, as: UTF8.self)
      case (5, .bytes(let summary)):
        for case (1, .bytes(let value)) in try fields(summary) {
          var (tag, number): (String?, Float?) = (nil, nil)
          for part in try fields(value) {
            switch part {
            case (1, .bytes(let text)): tag = String(decoding: text, as: UTF8.self)
            case (2, .number(let bits)): number = Float(bitPattern: UInt32(bits))
            default: throw Broken(description: "a value has the field \(part.number)")
            }
          }
          event.values.append((try #require(tag), try #require(number)))
        }
      default: throw Broken(description: "an event has the field \(field.number)")
      }
    }
    return event
  }

  // MARK: Tests

  @Test("CRC-32C against published values")
  func publishedChecksums() {
    // The usual check value, and RFC 3720, section B.4: zeros, ones, ascending and descending bytes.
    let cases: [([UInt8], UInt32)] = [
      (Array("123456789".utf8), 0xE306_9283), ([], 0), ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
      ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43), (Array(0..<32), 0x46DD_794E),
      (Array((0..<32).reversed()), 0x113F_DB5C),
    ]
    for (bytes, expected) in cases {
      #expect(CRC32C.checksum(bytes) == expected)
      #expect(Self.checksum(bytes) == expected)
      #expect(Self.unmasked(CRC32C.masked(bytes)) == expected)
    }
    // Rotated right by 15 bits, plus the constant: 0xE3069283 becomes 0x2507C60D.
    #expect(CRC32C.masked(Array("123456789".utf8)) == 0x2507_C60D &+ 0xA282_EAD8)
  }

  @Test("a file read back by another reader")
  func readBack() throws {
    try withTemporaryFolder { folder in
      let events = "\(folder)/a/events"
      let before = Date().timeIntervalSince1970
      let writer = try TensorBoardWriter(folder: events)
      let values: [(Int, [(String, Double)])] = [
        (1, [("loss", 0.5)]), (300, [("loss/Ω train", 0.1), ("lr", -1e-3), ("big", 1e300)]), (1 << 40, []),
        (1 << 40 + 1, [("nan", .nan), (String(repeating: "x", count: 200), 3)]),
      ]
      for (step, measures) in values { try writer.append(step: step, values: measures) }
      let after = Date().timeIntervalSince1970
      #expect((writer.path as NSString).lastPathComponent.hasPrefix("events.out.tfevents."))

      // The writer is still open: a concurrent reader sees whole records.
      let file = [UInt8](try Data(contentsOf: URL(filePath: writer.path)))
      let found = try Self.records(file).map(Self.event)
      #expect(found.count == 1 + values.count)
      #expect(found[0].version == "brain.Event:2" && found[0].step == nil && found[0].values.isEmpty)
      var last = before
      for event in found {
        let time = try #require(event.wallTime)
        #expect(time >= last && time <= after)
        last = time
      }
      for (event, (step, measures)) in zip(found.dropFirst(), values) {
        #expect(event.step == Int64(step) && event.version == nil)
        #expect(event.values.map(\.tag) == measures.map(\.0))
        for (ours, theirs) in zip(event.values.map(\.value), measures.map { Float($0.1) }) {
          #expect(ours.bitPattern == theirs.bitPattern || ours.isNaN && theirs.isNaN)
        }
      }
      #expect(found[2].values[0].value == Float(0.1) && found[2].values[2].value == .infinity)

      // Every byte is covered by a checksum: any single changed bit is detected.
      for place in stride(from: 0, to: file.count, by: 3) {
        var damaged = file
        damaged[place] ^= 1 << UInt8(place % 8)
        #expect(throws: Broken.self) { try Self.records(damaged) }
      }
    }
  }

  @Test("a resumed run writes a file of its own")
  func secondFile() throws {
    try withTemporaryFolder { folder in
      let first = try TensorBoardWriter(folder: folder)
      try first.append(step: 1, values: [("loss", 1)])
      let second = try TensorBoardWriter(folder: folder)
      try second.append(step: 2, values: [("loss", 2)])
      #expect(first.path != second.path)
      let steps = try [first, second].map { writer in
        let file = [UInt8](try Data(contentsOf: URL(filePath: writer.path)))
        return try Self.records(file).map { try Self.event($0).step }
      }
      #expect(steps == [[nil, 1], [nil, 2]])
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 2)
    }
  }
}
