// Work that ranks share out piece by piece: piece i is made by rank i mod N, and the first rank gets what was made in the
// order of the pieces, so that it writes what one process would have written. What is made travels as bytes.

/// What a rank makes of a piece of work, in a form that travels.
package protocol RankMessage {
  /// Its contents: as many arrays of bytes as `init(parts:)` expects.
  var parts: [[UInt8]] { get }
  /// The message of another rank.
  init(parts: [[UInt8]]) throws
}

/// Arrays of bytes that need no other form.
package struct ByteArrays: RankMessage {
  package let parts: [[UInt8]]

  package init(parts: [[UInt8]]) { self.parts = parts }
}

/// Numbers and arrays as bytes; all ranks have the same order of bytes.
package enum RankBytes {
  /// The bytes of numbers.
  package static func of<Number: BitwiseCopyable>(_ numbers: [Number]) -> [UInt8] {
    numbers.withUnsafeBytes { [UInt8]($0) }
  }

  /// The numbers of bytes.
  package static func numbers<Number: BitwiseCopyable>(_ bytes: [UInt8], _ type: Number.Type = Number.self) -> [Number]
  {
    bytes.withUnsafeBytes { raw in
      stride(from: 0, to: raw.count - raw.count % MemoryLayout<Number>.stride, by: MemoryLayout<Number>.stride).map {
        raw.loadUnaligned(fromByteOffset: $0, as: Number.self)
      }
    }
  }

  /// Arrays as one: how many there are, their lengths, and their bytes.
  package static func joined(_ parts: [[UInt8]]) -> [UInt8] {
    var bytes = of([Int64(parts.count)] + parts.map { Int64($0.count) })
    bytes.reserveCapacity(bytes.count + parts.reduce(0) { $0 + $1.count })
    for part in parts { bytes += part }
    return bytes
  }

  /// The arrays that were joined.
  package static func split(_ bytes: [UInt8]) -> [[UInt8]] {
    let count = Int(numbers(Array(bytes.prefix(8)), Int64.self)[0])
    var start = 8 + 8 * count
    return numbers(Array(bytes[8..<start]), Int64.self).map { length in
      defer { start += Int(length) }
      return Array(bytes[start..<start + Int(length)])
    }
  }
}

extension Collectives {
  /// What the first rank says, on every rank.
  package func told<Number: BitwiseCopyable>(_ numbers: [Number]) throws -> [Number] {
    guard count > 1 else { return numbers }
    return RankBytes.numbers(try allGather(isRoot ? RankBytes.of(numbers) : [])[0])
  }

  /// Makes pieces on all ranks, in turns, and gives them to the first rank in their order.
  ///
  /// - Parameters:
  ///   - pieces: how many there are, the same on every rank.
  ///   - make: makes the piece of this number.
  ///   - take: receives it, on the first rank only.
  package func share<Message: RankMessage>(
    _ pieces: Int, make: (Int) throws -> Message, take: (Int, Message) throws -> Void
  ) throws {
    for first in stride(from: 0, to: pieces, by: count) {
      let own = first + rank < pieces ? try make(first + rank) : nil
      if count > 1 {
        // The first rank has its own piece already.
        let all = try allGather(isRoot ? [] : own.map { RankBytes.joined($0.parts) } ?? [])
        guard isRoot else { continue }
        if let own { try take(first, own) }
        for other in 1..<count where first + other < pieces {
          try take(first + other, Message(parts: RankBytes.split(all[other])))
        }
      } else if let own {
        try take(first, own)
      }
    }
  }
}
