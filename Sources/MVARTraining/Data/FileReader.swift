// Reads the files of a data set on all processors, and reports problems and progress in the order of the files. Files
// are processed in chunks: the order within a chunk is free, and the caller gets a report after each chunk. It knows
// nothing of what the files contain.

import Dispatch
import Foundation
import MVARFiles
import Synchronization

/// A parallel map over files that follows a ``BadFilePolicy``.
enum FileReader {
  /// The results of all files that could be used, in the order of the files.
  ///
  /// - Parameters:
  ///   - onProblem: receives a sentence for each file that is skipped, on the caller's thread.
  ///   - onProgress: receives the number of files done and the total after each chunk, on the caller's thread.
  ///   - body: what is done with a file, on any thread.
  /// - Throws: the error of the first bad file, unless bad files are skipped.
  static func read<Item: Sendable, Result: Sendable>(
    _ items: [Item], badFiles: BadFilePolicy, onProblem: (String) -> Void, onProgress: (Int, Int) -> Void,
    _ body: @Sendable (Item) throws(FileError) -> Result
  ) throws(FileError) -> [Result] {
    let portion = 16 * ProcessInfo.processInfo.activeProcessorCount
    var results: [Result] = []
    results.reserveCapacity(items.count)
    for start in stride(from: 0, to: items.count, by: portion) {
      let outcomes = Outcomes<Result>(count: min(portion, items.count - start))
      DispatchQueue.concurrentPerform(iterations: outcomes.count) { place in
        let outcome: Swift.Result<Result, FileError>
        do throws(FileError) {
          outcome = .success(try body(items[start + place]))
        } catch {
          outcome = .failure(error)
        }
        outcomes.set(place, outcome)
      }
      for outcome in outcomes.all() {
        switch (outcome, badFiles) {
        case (.success(let result), _): results.append(result)
        case (.failure(let error), .refuse): throw error
        case (.failure(let error), .skip): onProblem(error.description)
        }
      }
      onProgress(min(start + portion, items.count), items.count)
    }
    return results
  }
}

/// The outcome of each file of a chunk.
private final class Outcomes<Result: Sendable>: Sendable {
  let count: Int
  private let slots: Mutex<[Swift.Result<Result, FileError>?]>

  init(count: Int) {
    self.count = count
    slots = Mutex([Swift.Result<Result, FileError>?](repeating: nil, count: count))
  }

  func set(_ place: Int, _ outcome: Swift.Result<Result, FileError>) {
    slots.withLock { $0[place] = outcome }
  }

  func all() -> [Swift.Result<Result, FileError>] {
    slots.withLock { $0.compactMap { $0 } }
  }
}
