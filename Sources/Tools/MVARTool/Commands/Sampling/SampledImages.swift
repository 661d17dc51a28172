// Where the results of `mvar sample` go: arrays and single images as soon as they are ready, one image of all and the
// tokens at the end. It samples and decodes nothing.
//
// Arrays and single images can be continued: an image is missing until it is in all of them.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARMedia

/// The images and tokens of a run.
struct SampledImages {
  let command: Sample
  let request: SampleRequest
  var tokens: [[Int]] = []
  private var rows: [[PixelImage]] = []
  private let arrays: ResumableNPZ?
  private var singles: SingleImages?
  /// The images whose files an earlier run noted and that are there no more, or not whole.
  private var lost: Set<Int> = []

  /// The results of a request, of which earlier runs may have written some.
  ///
  /// - Parameter settings: what determines them.
  /// - Throws: `FileError` where there is something that may not be continued or replaced.
  init(
    command: Sample, _ request: SampleRequest, side: Int, settings: RequestSettings?, _ progress: Progress
  ) throws {
    self.command = command
    self.request = request
    let settings = settings ?? RequestSettings([:])
    arrays = try command.arrays.map { path in
      try ResumableNPZ(
        path, name: "arr_0", scalarType: .uint8, shape: [request.count, side, side, 3], settings: settings,
        resuming: command.resume
      ) { share in progress.report("reading what was written: \(Int(100 * share)) %") }
    }
    singles = try command.folder.map {
      try SingleImages($0, first: command.first, settings: settings, resuming: command.resume)
    }
    guard let singles else { return }
    let noted = min(singles.done, request.count)
    for index in 0..<noted where !PNGFile.isWhole(path(of: index, in: singles.folder)) {
      lost.insert(index)
      progress.report("reading what was written: \(100 * index / noted) %")
    }
  }

  /// Whether a file name is of the form that single images have: `000012-class3.png`.
  static func isName(_ name: String) -> Bool { (try? #/[0-9]{6,}-class[0-9]+\.png/#.wholeMatch(in: name)) != nil }

  /// The path of a single image.
  private func path(of index: Int, in folder: String) -> String {
    let number = String(command.first + index)
    let name = String(repeating: "0", count: max(6 - number.count, 0)) + number
    return PathName.join(folder, "\(name)-class\(request[index]).png")
  }

  /// Whether an image is not in all files yet.
  private func isMissing(_ index: Int) -> Bool {
    if let arrays, index >= arrays.done { return true }
    if let singles { return index >= singles.done || lost.contains(index) }
    return arrays == nil
  }

  /// The first image from one on that is to be sampled; nil if there is none.
  func firstMissing(from start: Int) -> Int? { (start..<request.count).first(where: isMissing) }

  /// How many images are to be sampled still.
  var missing: Int { (0..<request.count).reduce(0) { $0 + (isMissing($1) ? 1 : 0) } }

  /// Adds the images of one sample: after each scale, or after the last only.
  mutating func add(_ shown: [PixelImage], index: Int) throws {
    if let folder = singles?.folder, isMissing(index) {
      try singles?.begin()
      let path = path(of: index, in: folder)
      try ImageGrid().rows([shown]).writePNG(to: path)
      lost.remove(index)
      try Console.print(path)
    }
    if let arrays, index == arrays.done, let image = shown.last { try arrays.append(image.pixels) }
    if command.grid != nil { rows.append(shown) }
  }

  /// Notes that all images before one are written.
  mutating func keep(through end: Int) throws { try singles?.keep(through: end) }

  /// Writes the files that are complete only at the end.
  func write() throws {
    if let path = command.grid {
      let isOneClass = request.classes.count == 1 && !command.classes.isEmpty
      let columns = isOneClass || command.total != nil ? nil : command.count ?? 1
      let image =
        try command.scales
        ? ImageGrid().rows(rows)
        : ImageGrid().grid(rows.map { $0[0] }, columns: command.gridOptions.columns ?? columns)
      try image.writePNG(to: path)
      try Console.print(path)
    }
    if let arrays, let path = command.arrays {
      if !arrays.wasFinished {
        try arrays.finish("arr_1", scalarType: .int64, shape: [request.count]) { output in
          for index in 0..<request.count {
            try withUnsafeBytes(of: Int64(request[index]).littleEndian) { try output.write($0) }
          }
        }
      }
      try Console.print(path)
    }
    if let path = command.tokens {
      try TokenFile.write(tokens, labels: (0..<request.count).map { request[$0] }, to: path)
      try Console.print(path)
    }
  }
}

/// A folder of single images, with a file that says how many of them are there, and of which settings: an image of another
/// run may have the same name.
private struct SingleImages {
  private struct State: Codable {
    var done: Int
    let settings: [String: String]
  }

  let folder: String
  private let path: String
  private var state: State
  private var isBegun = false

  /// How many of the first images were written by runs with these settings; they may have been removed since.
  var done: Int { state.done }

  /// - Throws: `FileError` when there are images of other settings, and they should be continued.
  init(_ folder: String, first: Int, settings: RequestSettings, resuming isResuming: Bool) throws {
    self.folder = folder
    path = PathName.join(folder, ".sampling-\(first).json")
    state = State(done: 0, settings: settings.values)
    guard isResuming, let bytes = try RegularFile.contentsIfPresent(of: path) else { return }
    guard let found = try? JSONDecoder().decode(State.self, from: Data(bytes)), found.done >= 0 else {
      throw FileError(path, "does not say which images are there; remove it to begin again")
    }
    try RequestSettings(found.settings).check(settings, path: path)
    (state, isBegun) = (found, true)
  }

  /// Called before an image is written. What an earlier run noted is no longer true then.
  mutating func begin() throws {
    if !isBegun { try save() }
    isBegun = true
  }

  mutating func keep(through end: Int) throws {
    guard end > state.done, isBegun else { return }
    state.done = end
    try save()
  }

  private func save() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try FileReplacement.write([UInt8](try encoder.encode(state)), to: path)
  }
}
