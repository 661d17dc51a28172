// The folder that a training run writes to: the paths of its files, and the guard against two runs in one folder.
//
// A new run starts only where there was none, a resumed one only where there is a checkpoint. The guard is an advisory
// lock on `.lock`, which the system releases when the process ends, however it ends; the file itself stays. The only
// files ever deleted are half-written ones, which a run may leave behind when it is killed while writing, and a new run
// replaces nothing.

import Foundation
import MVARFiles

/// The output folder of a training run.
public struct RunFolder: Sendable {
  /// The folder, as the caller named it.
  public let path: String

  /// The model and the training state: `checkpoint.safetensors`.
  public var checkpoint: String { "\(path)/checkpoint.safetensors" }

  /// The metrics of every step: `metrics.jsonl`, written by ``MetricsLog``.
  public var metrics: String { "\(path)/metrics.jsonl" }

  /// The folder of event files: `events`, written by ``TensorBoardWriter``, which creates it.
  public var events: String { "\(path)/events" }

  /// The plot of the loss: `loss.svg`, written by ``LossCurve``.
  public var curve: String { "\(path)/loss.svg" }

  /// The folder of sample images: `samples`; it exists.
  public var samples: String { "\(path)/samples" }

  /// The sample image of one step: `samples/step-000500.png`.
  public func sample(step: Int) -> String { "\(samples)/step-\(String(format: "%06d", step)).png" }

  /// Held as long as a copy of this value exists; nil for a rank that writes nothing.
  private let lock: Lock?

  /// The folder of a run in which another rank writes.
  public init(of run: String) {
    path = PathName.trimmed(run)
    lock = nil
  }

  /// Locks a folder until the value and its copies are gone.
  ///
  /// - Parameters:
  ///   - path: the folder; a new run creates it and its parent folders.
  ///   - isResuming: whether the run resumes from the checkpoint in the folder.
  /// - Throws: `FileError` when a new run would overwrite an older one, there is nothing to resume, another run is
  ///   writing here, or the folder cannot be created.
  public init(_ path: String, resuming isResuming: Bool) throws {
    try RegularFile.checkName(path)
    let path = PathName.trimmed(path)
    self.path = path
    // Before anything is created: a wrong path leaves no traces.
    try RunFolder.check(path, resuming: isResuming)
    if !isResuming { try RunFolder.createFolder(path) }
    lock = try Lock(folder: path)
    // Again, now that no other run can begin here.
    try RunFolder.check(path, resuming: isResuming)
    try RunFolder.createFolder(samples)
    for folder in [path, samples] { FileReplacement.removeAbandoned(in: folder) }
  }

  /// Refuses a folder that a run could not use, without creating anything: for a check before long preparations.
  ///
  /// - Throws: `FileError` when a new run would overwrite an older one, there is nothing to resume, or the path is not
  ///   a folder or cannot be written.
  public static func check(_ path: String, resuming isResuming: Bool) throws {
    try RegularFile.checkName(path)
    if isResuming { return try checkResumable(path) }
    if access("\(path)/checkpoint.safetensors", F_OK) == 0 {
      throw FileError(
        path, "holds a training run already (checkpoint.safetensors); resume it or choose another folder")
    }
    if access("\(path)/metrics.jsonl", F_OK) == 0 {
      throw FileError(
        path, "holds the metrics of a training run (metrics.jsonl) without its checkpoint; choose another folder")
    }
    try checkWritable(path)
    // Files that the run would replace, and that are not a run's.
    let drawn = ["loss.svg"] + drawings(in: "\(path)/samples").prefix(1).map { "samples/\($0)" }
    if let name = drawn.first(where: { access("\(path)/\($0)", F_OK) == 0 }) {
      throw FileError(path, "holds \(name), which the run would replace; choose another folder")
    }
  }

  /// The files in a folder that have the name of a sample image.
  private static func drawings(in folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { name in
      name.hasPrefix("step-") && name.hasSuffix(".png") && name.dropFirst(5).dropLast(4).allSatisfy(\.isNumber)
    }.sorted()
  }

  /// Refuses a path that is not and cannot become a folder for new files, without creating anything.
  ///
  /// - Throws: `FileError` when the path is not a folder, or it cannot be created or written.
  public static func checkWritable(_ path: String) throws {
    try RegularFile.checkName(path)
    var status = stat()
    guard stat(path, &status) == 0 else { return try checkCreatable(path) }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw FileError(path, "is not a folder") }
    guard access(path, W_OK | X_OK) == 0 else { throw FileError(path, "cannot be written", system: errno) }
  }

  /// Refuses a folder that could not be created in its nearest existing parent folder.
  private static func checkCreatable(_ path: String) throws {
    guard errno == ENOENT else { throw FileError(path, "cannot be created", system: errno) }
    var above = PathName.folder(of: path)
    while !above.isEmpty && access(above, F_OK) != 0 && errno == ENOENT {
      above = PathName.folder(of: above)
    }
    guard access(above.isEmpty ? "." : above, W_OK | X_OK) == 0 else {
      throw FileError(path, "cannot be created", system: errno)
    }
  }

  private static func checkResumable(_ path: String) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { throw FileError(path, "there is no training run to resume", system: errno) }
    guard status.st_mode & S_IFMT == S_IFDIR else { throw FileError(path, "is not a folder") }
    guard access("\(path)/checkpoint.safetensors", F_OK) == 0 else {
      throw FileError(path, "there is no training run to resume: checkpoint.safetensors is missing")
    }
  }

  /// Creates a folder and its parent folders unless it exists.
  static func createFolder(_ path: String) throws {
    try RegularFile.checkName(path)
    var status = stat()
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else { throw FileError(path, "is not a folder") }
      return
    }
    guard errno == ENOENT else { throw FileError(path, "cannot be created", system: errno) }
    let above = PathName.folder(of: path)
    if !above.isEmpty && above != path { try createFolder(above) }
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
      throw FileError(path, "cannot be created", system: errno)
    }
  }
}

/// An exclusive lock on a folder's `.lock` file.
private final class Lock: Sendable {
  private let file: RegularFile

  init(folder: String) throws {
    file = try RegularFile.open("\(folder)/.lock", for: .locking)
    guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      throw code == EWOULDBLOCK
        ? FileError(folder, "another run is writing here") : FileError(folder, "cannot be locked", system: code)
    }
  }
}
