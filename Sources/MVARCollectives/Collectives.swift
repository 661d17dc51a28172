// What several processes of one run do together: sums, broadcasts, waiting for one another. A process is a rank, from 0 to
// count − 1; every operation is called by all ranks in the same order. Who started the processes, and what carries the
// bytes, is left to an implementation: one process alone, or MPI.

import Foundation

/// Operations of all ranks together.
///
/// Calls come from one thread at a time. Each may throw `CollectivesError`; a rank that gives up must call
/// ``abort(status:)``, since the others would wait for it.
public protocol Collectives: Sendable {
  /// The number of this process, from 0.
  var rank: Int { get }
  /// How many processes there are.
  var count: Int { get }
  /// The number of this process among those of the same machine, from 0, by which it chooses a device.
  var localRank: Int { get }
  /// What carries the bytes, in words: a library and its version.
  var name: String { get }

  /// Replaces the numbers of every rank by their sums over all ranks. All ranks get the same bits.
  func allReduce<Scalar: CollectiveScalar>(_ values: UnsafeMutableBufferPointer<Scalar>) throws
  /// Replaces the bytes of every rank by those of one.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws
  /// The bytes of every rank, in the order of ranks; they need not be as many.
  func allGather(_ bytes: [UInt8]) throws -> [[UInt8]]
  /// Returns when all ranks have called it.
  func barrier() throws
  /// Ends all ranks.
  func abort(status: Int32) -> Never
}

/// A number that ranks can add.
public enum CollectiveScalarType: Sendable {
  /// `Float`
  case float32
  /// `Double`
  case float64
  /// `Int64`
  case int64
}

/// A number that ranks can add: `Float`, `Double` and `Int64`.
public protocol CollectiveScalar: Sendable {
  /// Which of them it is.
  static var collectiveType: CollectiveScalarType { get }
}

extension Float: CollectiveScalar {
  /// `.float32`
  public static var collectiveType: CollectiveScalarType { .float32 }
}

extension Double: CollectiveScalar {
  /// `.float64`
  public static var collectiveType: CollectiveScalarType { .float64 }
}

extension Int64: CollectiveScalar {
  /// `.int64`
  public static var collectiveType: CollectiveScalarType { .int64 }
}

extension Collectives {
  /// Whether this rank writes what all ranks have computed.
  public var isRoot: Bool { rank == 0 }

  /// The sums over all ranks.
  public func sums<Scalar: CollectiveScalar>(of values: [Scalar]) throws -> [Scalar] {
    guard count > 1, !values.isEmpty else { return values }
    var values = values
    try values.withUnsafeMutableBufferPointer { try allReduce($0) }
    return values
  }

  /// The text of every rank, in the order of ranks.
  public func texts(_ text: String) throws -> [String] {
    try allGather(Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
  }
}

/// A process that is alone.
public struct SingleProcess: Collectives {
  /// The only rank.
  public init() {}

  /// 0
  public var rank: Int { 0 }
  /// 1
  public var count: Int { 1 }
  /// 0
  public var localRank: Int { 0 }
  /// "one process"
  public var name: String { "one process" }

  /// Leaves the numbers as they are: they are their own sums.
  public func allReduce<Scalar: CollectiveScalar>(_ values: UnsafeMutableBufferPointer<Scalar>) {}
  /// Leaves the bytes as they are.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {}
  /// The bytes themselves.
  public func allGather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }
  /// Returns.
  public func barrier() {}
  /// Ends the process.
  public func abort(status: Int32) -> Never { exit(status) }
}
