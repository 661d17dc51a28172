// Archives that are written row by row: the same bytes wherever a process was killed, with and without ZIP64, and what is not
// continued.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

@Suite("Archives that can be continued")
struct ResumableNPZTests {
  private static let settings = RequestSettings(["--seed": "1", "--class": "0-3"])
  private static let rows = 5

  private func open(
    _ folder: String, settings: RequestSettings = settings, resuming: Bool, wideFrom wide: Int = Int(UInt32.max)
  ) throws -> ResumableNPZ {
    try ResumableNPZ(
      "\(folder)/a.npz", name: "arr_0", scalarType: .uint8, shape: [Self.rows, 2, 3], settings: settings,
      resuming: resuming, wideFrom: wide)
  }

  private func row(_ number: Int) -> [UInt8] { (0..<6).map { UInt8(10 * number + $0) } }

  /// Adds the missing rows, and the second array.
  private func complete(_ file: ResumableNPZ) throws {
    while file.done < Self.rows { try file.append(row(file.done)) }
    try file.finish("arr_1", scalarType: .int64, shape: [Self.rows]) { output in
      for number in 0..<Self.rows { try withUnsafeBytes(of: Int64(number).littleEndian) { try output.write($0) } }
    }
  }

  private func bytes(_ path: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(filePath: path))) }

  /// The sentence of the error that opening gives.
  private func refusal(_ folder: String, settings: RequestSettings = settings, resuming: Bool) -> String? {
    do {
      _ = try open(folder, settings: settings, resuming: resuming)
      return nil
    } catch {
      return "\(error)".replacing("\(folder)/", with: "")
    }
  }

  @Test("every length at which a process can be killed leads to the same bytes", arguments: [Int(UInt32.max), 100])
  func killed(wide: Int) throws {
    try withTemporaryFolder { folder in
      let (path, partial) = ("\(folder)/a.npz", "\(folder)/a.npz.partial")
      try complete(open(folder, resuming: false, wideFrom: wide))
      let whole = try bytes(path)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.npz"])
      let file = try Checkpoint.open(path)
      #expect(file.tensors.map(\.name) == ["arr_0", "arr_1"])
      #expect(file["arr_0"]?.shape == [5, 2, 3])
      #expect(try file["arr_0"]?.integers() == (0..<5).flatMap { row($0).map { Int($0) } })
      #expect(try file["arr_1"]?.integers() == [0, 1, 2, 3, 4] && file["arr_1"]?.scalarType == .int64)
      let start = try #require(NumPy.start(in: whole)) + 128
      #expect(start % 64 == 0)
      // The first entry's checksum is that of NumPy's header and of all rows.
      #expect(Array(whole[14..<18]) == le(Zip.checksum(Array(whole[(start - 128)..<(start + 30)]))))
      // ZIP64's mark instead of the size, and its end of the directory.
      #expect((Array(whole[18..<22]) == [255, 255, 255, 255]) == (wide == 100))
      #expect(whole.indices.dropLast(4).contains { Array(whole[$0..<$0 + 4]) == [0x50, 0x4b, 6, 6] } == (wide == 100))

      for length in 0...whole.count {
        unlink(path)
        // The checksum is filled in last.
        var part = Array(whole[..<length])
        if length < whole.count { for place in 14..<min(18, max(length, 14)) { part[place] = 0 } }
        try Data(part).write(to: URL(filePath: partial))
        let file = try open(folder, resuming: true, wideFrom: wide)
        #expect(file.done == min(max(length - start, 0) / 6, 5))
        try complete(file)
        #expect(try bytes(path) == whole, "\(length)")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.npz"])
    }
  }

  @Test("a finished file that was damaged is not taken for whole")
  func damaged() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a.npz"
      try complete(open(folder, resuming: false))
      #expect(refusal(folder, resuming: true) == nil)
      let whole = try bytes(path)
      let first = try #require(NumPy.start(in: whole)) + 128
      let second = try #require(NumPy.start(in: Array(whole[first...]))) + first + 128
      for place in [first + 7, second + 7] {
        var damaged = whole
        damaged[place] ^= 1
        try Data(damaged).write(to: URL(filePath: path))
        #expect(refusal(folder, resuming: true)?.hasPrefix("a.npz: ") == true, "\(place)")
      }
    }
  }

  @Test("zeros at the end, which a power failure may leave, are drawn again with the row before them")
  func zeros() throws {
    try withTemporaryFolder { folder in
      let (path, partial) = ("\(folder)/a.npz", "\(folder)/a.npz.partial")
      try complete(open(folder, resuming: false))
      let whole = try bytes(path)
      let start = try #require(NumPy.start(in: whole)) + 128
      // In the middle of the third row, at the end of it, and before the first.
      for (length, done) in [(start + 15, 2), (start + 18, 2), (start, 0)] {
        unlink(path)
        let part = whole[..<length] + [UInt8](repeating: 0, count: start + 30 - length)
        try Data(part).write(to: URL(filePath: partial))
        let file = try open(folder, resuming: true)
        #expect(file.done == done, "\(length)")
        try complete(file)
        #expect(try bytes(path) == whole, "\(length)")
      }
    }
  }

  @Test("nothing is created before the first row, and an old file stays until the new one is complete")
  func old() throws {
    try withTemporaryFolder { folder in
      try Data("old".utf8).write(to: URL(filePath: "\(folder)/a.npz"))
      let file = try open(folder, resuming: false)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.npz"])
      try file.append(row(0))
      #expect(try bytes("\(folder)/a.npz") == Array("old".utf8))
      #expect(refusal(folder, resuming: true) == "a.npz.partial: another run is writing here")
      try complete(file)
      #expect(try Checkpoint.open("\(folder)/a.npz")["arr_0"] != nil)
    }
  }

  @Test("what is not continued, with the reason")
  func refused() throws {
    try withTemporaryFolder { folder in
      let other = RequestSettings(["--seed": "2", "--class": "0-3"])
      try open(folder, resuming: false).append(row(0))
      #expect(
        refusal(folder, resuming: false)
          == "a.npz.partial: is what an interrupted run has left: continue it with --resume, or remove it to begin "
          + "again")
      #expect(
        refusal(folder, settings: other, resuming: true)
          == "a.npz.partial: was begun with --seed 1, now it is 2: resume with the same settings")
      #expect(
        refusal(folder, settings: RequestSettings(["--seed": "1"]), resuming: true)
          == "a.npz.partial: was begun with --class 0-3, now it is not set: resume with the same settings")
      try complete(open(folder, resuming: true))

      // A finished file is recognized, and only replaced without --resume.
      #expect(try open(folder, resuming: true).wasFinished)
      #expect(
        refusal(folder, settings: other, resuming: true)
          == "a.npz: was begun with --seed 1, now it is 2: resume with the same settings, or leave --resume out to "
          + "replace it")
      #expect(refusal(folder, settings: other, resuming: false) == nil)

      // Files of other kinds, also one that begins like an archive.
      for contents in [Array("old".utf8), [0x50, 0x4b, 3, 4], [UInt8](repeating: 0x50, count: 1000)] {
        try Data(contents).write(to: URL(filePath: "\(folder)/a.npz.partial"))
        let sentence = refusal(folder, resuming: true)
        if contents.count == 4 {
          #expect(sentence == nil)
        } else {
          #expect(sentence == "a.npz.partial: is not what a run with these settings writes: choose another name")
        }
      }
    }
  }
}
