// The files of a training run: the log after a crash, event records byte by byte, the guarded folder, pace, signals.

import Foundation
import MVARFiles
import MVARMedia
import MVARTraining
import Testing

@Suite("training run")
struct RunTests {
  private func inFolder(_ body: (String) throws -> Void) throws {
    let folder = NSTemporaryDirectory() + "mvar-run-\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  @Test("a log goes on after a crash without repeated or broken lines")
  func logContinues() throws {
    try inFolder { folder in
      let path = "\(folder)/metrics.jsonl"
      let log = try MetricsLog(path: path, continuingAfter: nil)
      try log.append(step: 1, [("loss", 0.1), ("a\"b", .nan)])
      try log.append(step: 2, [("loss", 1e-300)])
      let text = try String(contentsOfFile: path, encoding: .utf8)
      #expect(text.hasPrefix("{\"step\":1,\"loss\":0.1,\"a\\\"b\":null}\n"))
      let handle = try #require(FileHandle(forWritingAtPath: path))
      _ = try handle.seekToEnd()
      try handle.write(contentsOf: Data("{\"step\":3,\"lo".utf8))
      try handle.close()
      let records = try MetricsLog.read(path)
      #expect(records.map(\.step) == [1, 2])
      #expect(records[1].values["loss"] == 1e-300 && records[0].values["a\"b"]?.isNaN == true)
      try MetricsLog(path: path, continuingAfter: 1).append(step: 2, [("loss", 7)])
      #expect(try MetricsLog.read(path).map { $0.values["loss"] } == [0.1, 7])
      try Data("{\"step\":1}\nnonsense\n{\"step\":2}\n".utf8).write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: FileError.self) { try MetricsLog.read(path) }
      #expect(error?.description == "\(path): line 2 is not an object of numbers with a step")
    }
  }

  @Test("event records have the checksums and bytes of the format")
  func eventRecord() {
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
    let event = TensorBoardWriter.event(wallTime: 1, step: 300, values: [("x", 0.5)])
    #expect(
      event == [
        0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0x10, 0xAC, 0x02, 0x2A, 10, 0x0A, 8, 0x0A, 1, 0x78, 0x15, 0, 0, 0, 0x3F,
      ])
    let record = TensorBoardWriter.record(event)
    #expect(record.count == 8 + 4 + event.count + 4)
    #expect(Array(record.prefix(8)) == [24, 0, 0, 0, 0, 0, 0, 0] && Array(record[12..<36]) == event)
  }

  @Test("a folder holds one run at a time")
  func folderIsGuarded() throws {
    try inFolder { folder in
      let path = "\(folder)/a/run"
      #expect(throws: FileError.self) { try RunFolder(path, resuming: true) }
      let run = try RunFolder(path, resuming: false)
      let busy = #expect(throws: FileError.self) { try RunFolder(path, resuming: false) }
      #expect(busy?.description == "\(path): another run is writing here")
      #expect(run.sample(step: 500) == "\(path)/samples/step-000500.png")
    }
  }

  @Test("a folder is looked at without traces, and half-written files go when a run takes it")
  func folderIsLookedAt() throws {
    try inFolder { folder in
      try RunFolder.check("\(folder)/a/b", resuming: false)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
      try Data().write(to: URL(fileURLWithPath: "\(folder)/file"))
      for (path, sentence) in [
        ("\(folder)/file", "is not a folder"), ("\(folder)/file/run", "cannot be created: Not a directory"),
      ] {
        let error = #expect(throws: FileError.self) { try RunFolder.check(path, resuming: false) }
        #expect(error?.description == "\(path): \(sentence)")
      }
      let run = "\(folder)/run"
      _ = try RunFolder(run, resuming: false)
      let names = [
        ".1a2b.tmp", ".mvar-3c.partial", "samples/.mvar-4d.partial", "kept.tmp", ".kept", "checkpoint.safetensors",
      ]
      for name in names { try Data().write(to: URL(fileURLWithPath: "\(run)/\(name)")) }
      let busy = #expect(throws: FileError.self) { try RunFolder.check(run, resuming: false) }
      #expect(
        busy?.reason
          == "holds a training run already (checkpoint.safetensors); resume it or choose another folder")
      _ = try RunFolder(run, resuming: true)
      #expect(
        try FileManager.default.subpathsOfDirectory(atPath: run).sorted()
          == [".kept", ".lock", "checkpoint.safetensors", "kept.tmp", "samples"])
    }
  }

  @Test("pace and lengths of time for people")
  func pace() {
    let start = ContinuousClock.now
    var pace = Pace(total: 102, now: start)
    pace.advance(to: 1, now: start + .seconds(90))
    #expect(pace.secondsPerStep == nil)
    pace.advance(to: 2, now: start + .seconds(95))
    #expect(pace.description == "12.0 steps/min, 8 min left")
    #expect([59, 720, 12_000].map { Pace.text(seconds: $0) } == ["59 s", "12 min", "3 h 20 min"])
  }

  @Test("a signal is noticed until the catcher is taken away")
  func interruption() {
    let interruption = Interruption(signals: [SIGUSR1])
    interruption.install()
    #expect(!interruption.isRequested)
    kill(getpid(), SIGUSR1)
    let end = ContinuousClock.now + .seconds(5)
    while !interruption.isRequested && ContinuousClock.now < end { usleep(1000) }
    #expect(interruption.isRequested)
    interruption.uninstall()
    #expect(!interruption.isRequested)
  }
}
