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
      // A crash leaves a line without its end; a whole line that cannot be read is somebody's text.
      try Data("keep this\n".utf8).write(to: URL(fileURLWithPath: path))
      #expect(throws: FileError(path, "line 1 is not an object of numbers with a step")) {
        try MetricsLog(path: path, continuingAfter: 1)
      }
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "keep this\n")
    }
  }

  @Test("lines that this program could not have written are refused by their number")
  func foreignLines() throws {
    try inFolder { folder in
      let path = "\(folder)/metrics.jsonl"
      for (text, sentence) in [
        ("{\"loss\":1,\"step\":1,\"loss\":6}\n", "line 1 holds the key \"loss\" twice"),
        ("{\"step\":0}\n", "line 1 is not an object of numbers with a step"),
        ("{\"step\":-1}\n", "line 1 is not an object of numbers with a step"),
        ("{\"step\":2}\n{\"step\":1}\n", "line 2 is of step 1, and the one before it of step 2"),
        ("{\"step\":1}\n{\"step\":3}\n", "line 2 is of step 3, and the one before it of step 1"),
      ] {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        #expect(throws: FileError(path, sentence)) { try MetricsLog(path: path, continuingAfter: 1) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
      }
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
      let ours = [".mvar-writing-0123456789abc", "samples/.mvar-writing-zzzzzzzzzzzzz"]
      // Files of the user, under names that only look like ours, and one that somebody is writing.
      let kept = [
        ".1a2b.tmp", ".mvar-3c.partial", "samples/.mvar-4d.partial", "kept.tmp", ".kept", ".mvar-writing-1",
        ".mvar-writing-0123456789ABC", "checkpoint.safetensors",
      ]
      for name in ours + kept { try Data().write(to: URL(fileURLWithPath: "\(run)/\(name)")) }
      let written = "\(run)/.mvar-writing-1111111111111"
      let writer = open(written, O_WRONLY | O_CREAT, 0o600)
      defer { close(writer) }
      #expect(flock(writer, LOCK_EX | LOCK_NB) == 0)
      try FileManager.default.createSymbolicLink(
        atPath: "\(run)/.mvar-writing-2222222222222", withDestinationPath: "kept.tmp")
      let busy = #expect(throws: FileError.self) { try RunFolder.check(run, resuming: false) }
      #expect(
        busy?.reason
          == "holds a training run already (checkpoint.safetensors); resume it or choose another folder")
      _ = try RunFolder(run, resuming: true)
      #expect(
        try FileManager.default.subpathsOfDirectory(atPath: run).sorted()
          == (kept + [".lock", ".mvar-writing-1111111111111", ".mvar-writing-2222222222222", "samples"]).sorted())
    }
  }

  @Test("a new run replaces no file of the user", arguments: ["loss.svg", "samples/step-000200.png"])
  func nothingIsReplaced(_ name: String) throws {
    try inFolder { folder in
      try FileManager.default.createDirectory(atPath: "\(folder)/run/samples", withIntermediateDirectories: true)
      try Data("mine".utf8).write(to: URL(filePath: "\(folder)/run/\(name)"))
      let error = #expect(throws: FileError.self) { _ = try RunFolder("\(folder)/run", resuming: false) }
      #expect(error?.description == "\(folder)/run: holds \(name), which the run would replace; choose another folder")
      #expect(try String(contentsOfFile: "\(folder)/run/\(name)", encoding: .utf8) == "mine")
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/run").contains(".lock") == false)
      // What the user keeps beside the run is no obstacle.
      try FileManager.default.moveItem(atPath: "\(folder)/run/\(name)", toPath: "\(folder)/run/notes.svg")
      _ = try RunFolder("\(folder)/run", resuming: false)
    }
  }

  @Test("a folder whose name begins with a combining mark lies in its own parent")
  func combiningMark() throws {
    try inFolder { folder in
      let run = try RunFolder("\(folder)/a/\u{301}b/", resuming: false)
      #expect(run.path.utf8.elementsEqual("\(folder)/a/\u{301}b".utf8))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a"])
      #expect(access("\(folder)/a/\u{301}b/samples", F_OK) == 0)
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
    // Two records at once are as fast as the time until the next one.
    var shared = Pace(total: 100, now: start)
    shared.advance(to: 8, now: start + .seconds(3))
    shared.advance(to: 16, now: start + .seconds(3) + .microseconds(20))
    #expect(shared.secondsPerStep == nil)
    shared.advance(to: 24, now: start + .seconds(7))
    #expect(shared.secondsPerStep == 0.25)
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
