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
  ///
  /// - Parameter type: of the numbers that the memory holds.
  func allReduce(_ values: UnsafeMutableRawBufferPointer, _ type: CollectiveScalarType) throws
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

  /// The type of a tensor's numbers, `Float` or `Double`.
  public static func of<Scalar: BinaryFloatingPoint>(_ type: Scalar.Type) -> CollectiveScalarType {
    MemoryLayout<Scalar>.size == 8 ? .float64 : .float32
  }

  /// Bytes of a number.
  public var byteCount: Int { self == .float32 ? 4 : 8 }
}

extension Collectives {
  /// Whether this rank writes what all ranks have computed.
  public var isRoot: Bool { rank == 0 }

  /// The sums over all ranks.
  public func sums(of values: [Double]) throws -> [Double] { try sums(values, .float64) }

  /// The sums over all ranks.
  public func sums(of values: [Int64]) throws -> [Int64] { try sums(values, .int64) }

  private func sums<Number>(_ values: [Number], _ type: CollectiveScalarType) throws -> [Number] {
    guard count > 1, !values.isEmpty else { return values }
    var values = values
    try values.withUnsafeMutableBytes { try allReduce($0, type) }
    return values
  }

  /// Whether any rank says yes; asked of all ranks.
  public func any(_ answer: Bool) throws -> Bool { try sums(of: [Int64(answer ? 1 : 0)])[0] > 0 }

  /// What one rank says.
  public func answer(_ answer: Bool, of root: Int = 0) throws -> Bool {
    try sums(of: [Int64(answer && rank == root ? 1 : 0)])[0] > 0
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
  public func allReduce(_ values: UnsafeMutableRawBufferPointer, _ type: CollectiveScalarType) {}
  /// Leaves the bytes as they are.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {}
  /// The bytes themselves.
  public func allGather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }
  /// Returns.
  public func barrier() {}
  /// Ends the process.
  public func abort(status: Int32) -> Never { exit(status) }
}
