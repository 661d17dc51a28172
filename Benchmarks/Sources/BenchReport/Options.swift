// The command line of the benchmarks.

/// What to measure, and where results go.
public struct Options: Equatable, Sendable {
  /// How often each work is timed.
  public var rounds = 5
  /// Part of the names of what to measure; empty for everything.
  public var only = ""
  /// The file to write results to.
  public var json: String?
  /// A file of earlier results, whose tables are printed; nothing is measured.
  public var table: String?
  /// A folder for prepared models, kept for the next run; nil for a temporary one.
  public var files: String?
  /// How many threads each side gets; nil for one per processor.
  public var threads: Int?

  /// Reads arguments.
  ///
  /// - Throws: `BenchError` that names a wrong one.
  public init(_ arguments: [String]) throws {
    var rest = arguments[...]
    while let name = rest.popFirst() {
      guard let value = rest.popFirst() else { throw BenchError("\(name) needs a value") }
      switch name {
      case "--rounds": rounds = try Self.count(name, value)
      case "--threads": threads = try Self.count(name, value)
      case "--only": only = value
      case "--json": json = value
      case "--table": table = value
      case "--files": files = value
      default:
        throw BenchError(
          "there is no option \(name); use --rounds, --only, --json, --table, --files or --threads")
      }
    }
  }

  private static func count(_ name: String, _ value: String) throws -> Int {
    guard let number = Int(value), number > 0 else { throw BenchError("\(name) is \(value); use a positive number") }
    return number
  }

  /// Whether something of this name is to be measured.
  public func wants(_ name: String) -> Bool { only.isEmpty || name.contains(only) }
}

/// Why a benchmark could not continue.
public struct BenchError: Error, CustomStringConvertible, Equatable {
  /// One sentence.
  public let description: String

  /// An error with this sentence.
  public init(_ description: String) { self.description = description }
}
