// From logits to tokens: guidance, top-k and top-p, sampling, and the Gumbel-softmax.
//
// Filtering needs order only near its thresholds, so a row is first distributed into buckets of equal width: top-k
// searches one bucket, top-p sorts within each. Probabilities are summed in double precision. A row that contains a NaN
// is left unchanged by the filter and gives token 0, as does a row of only −∞; neither stops the program.

import Foundation

extension CPU: SamplingOps {
  /// (1 + t)·conditional − t·null.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func guide(_ logits: Tensor<CPU>, strength: Scalar) -> Tensor<CPU> {
    precondition(logits.shape.rank >= 1 && logits.shape[0] % 2 == 0, "guide: logits \(logits.shape)")
    let shape = logits.shape.replacing(axis: 0, with: logits.shape[0] / 2)
    return make(shape) { result in
      withPointers(logits) { logits in
        let null = logits + shape.count
        parallel(shape.count, grain: serialLimit) { range in
          byEights(range.count) { i, lanes in
            let i = range.lowerBound + i
            put(eight(logits, i, lanes) * (1 + strength) - eight(null, i, lanes) * strength, result, i, lanes)
          }
        }
      }
    }
  }

  /// Logits outside top-k or top-p become −∞; rows that contain a NaN are unchanged.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func filterLogits(_ logits: consuming Tensor<CPU>, topK: Int, topP: Double) -> Tensor<CPU> {
    precondition(logits.shape.rank >= 1 && topK >= 0, "filterLogits: logits \(logits.shape), top-k \(topK)")
    let (count, length) = (logits.shape.rows, logits.shape[-1])
    return reusing(logits) { logits, result in
      parallel(count, grain: rowsPerPiece(length)) { rows in
        var filter = RowFilter<Scalar>()
        for row in rows {
          let (x, result) = (logits + row * length, result + row * length)
          if x != UnsafePointer(result) { result.update(from: x, count: length) }
          guard filter.load(result, length) else { continue }
          if topK > 0 { filter.keepLargest(topK, result, length) }
          if topP > 0 { filter.keepMass(topP, result) }
        }
      }
    }
  }

  /// One token per position: the first v whose cumulative weight exceeds u·total.
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func sampleTokens(_ logits: Tensor<CPU>, streams: [RandomStream], firstPosition: Int) -> Indices<CPU> {
    precondition(
      logits.shape.rank == 3 && logits.shape[0] == streams.count && logits.shape[2] > 0,
      "sampleTokens: logits \(logits.shape), \(streams.count) streams")
    let (positions, length) = (logits.shape[1], logits.shape[2])
    var tokens = [Int32](repeating: 0, count: streams.count * positions)
    tokens.withUnsafeMutableBufferPointer { tokens in
      nonisolated(unsafe) let tokens = tokens
      withPointers(logits) { logits in
        parallel(tokens.count, grain: max(1, rowsPerPiece(length) / 2)) { rows in
          var weights: [(code: Int32, weight: Double)] = []
          weights.reserveCapacity(length)
          for row in rows {
            let uniform = streams[row / positions].uniform(firstPosition + row % positions, purpose: .token)
            tokens[row] = sample(logits + row * length, length, uniform, &weights)
          }
        }
      }
    }
    return Indices(shape: [logits.shape[0], positions], storage: tokens)
  }

  /// softmax((factor·logits + Gumbel noise)/temperature), the noise being −ln(−ln u).
  @specialized(where Scalar == Float)
  @specialized(where Scalar == Double)
  public static func gumbelSoftmax(
    _ logits: consuming Tensor<CPU>, factor: Scalar, temperature: Scalar, streams: [RandomStream], firstPosition: Int
  ) -> Tensor<CPU> {
    precondition(
      logits.shape.rank == 3 && logits.shape[0] == streams.count,
      "gumbelSoftmax: logits \(logits.shape), \(streams.count) streams")
    let (positions, length) = (logits.shape[1], logits.shape[2])
    let count = streams.count * positions
    return reusing(logits) { logits, result in
      parallel(count, grain: max(1, rowsPerPiece(length) / 4)) { rows in
        for row in rows {
          let (x, result) = (logits + row * length, result + row * length)
          let stream = streams[row / positions]
          let first = (firstPosition + row % positions) * length
          var words = SIMD4<UInt32>.zero
          for code in 0..<length {
            let index = first + code
            if code == 0 || index & 3 == 0 {
              words = stream.words(block: UInt32(truncatingIfNeeded: index >> 2), purpose: .smooth)
            }
            let uniform = (Double(words[index & 3]) + 0.5) * 0x1p-32
            result[code] = (factor * x[code] + Scalar(-log(-log(uniform)))) / temperature
          }
          softmaxRow(result, result, length)
        }
      }
    }
  }
}

/// The token of one row; `weights` is scratch memory.
@inline(__always)
private func sample<S: TensorScalar>(
  _ x: UnsafePointer<S>, _ length: Int, _ uniform: Double, _ weights: inout [(code: Int32, weight: Double)]
) -> Int32 {
  let most = largest(x, length)
  weights.removeAll(keepingCapacity: true)
  var total = 0.0
  for code in 0..<length where !(x[code] == -.infinity) {
    // Also for +∞, whose difference from itself is NaN.
    let weight = x[code] == most ? 1 : exp(Double(x[code]) - Double(most))
    total += weight
    weights.append((Int32(truncatingIfNeeded: code), weight))
  }
  // A NaN propagates to the total, and nothing exceeds it.
  guard total > 0 else { return 0 }
  let threshold = uniform * total
  var (cumulative, last): (Double, Int32) = (0, 0)
  for (code, weight) in weights where weight > 0 {
    cumulative += weight
    if cumulative > threshold { return code }
    last = code
  }
  return last
}

/// The entries of one row above −∞, distributed into buckets of equal width in ascending order; memory is kept between
/// rows.
private struct RowFilter<S: TensorScalar> {
  private static var buckets: Int { 1024 }
  private typealias Entry = (value: S, code: Int32)

  /// The entries that are left, in vocabulary order; after `sort`, ascending by value, then code.
  private var entries: [Entry] = []
  private var sorted: [Entry] = []
  private var starts: [Int32] = []
  private var weights: [Double] = []

  init() {}

  /// Collects the entries above −∞ of a row; false if there are none or one is NaN.
  @inline(__always)
  mutating func load(_ x: UnsafePointer<S>, _ length: Int) -> Bool {
    entries.removeAll(keepingCapacity: true)
    for code in 0..<length where !(x[code] == -.infinity) {
      if x[code].isNaN { return false }
      entries.append((x[code], Int32(truncatingIfNeeded: code)))
    }
    return !entries.isEmpty
  }

  /// Removes entries below the k-th largest from the row and from the entries.
  @inline(__always)
  mutating func keepLargest(_ k: Int, _ row: UnsafeMutablePointer<S>, _ length: Int) {
    guard k < entries.count else { return }
    let deal = count()
    // The bucket that contains the k-th largest: fewer than k entries lie in the buckets above it.
    var bucket = Self.buckets - 1
    while entries.count - Int(starts[bucket]) < k { bucket -= 1 }
    var inside: [S] = []
    for entry in entries where deal.bucket(entry.value) == bucket { inside.append(entry.value) }
    inside.sort()
    let least = inside[entries.count - k - Int(starts[bucket])]
    var left = 0
    for entry in entries {
      if entry.value < least {
        row[Int(entry.code)] = -.infinity
      } else {
        entries[left] = entry
        left += 1
      }
    }
    entries.removeLast(entries.count - left)
  }

  /// Removes, in ascending order, entries whose cumulative probability is at most 1 − p; the last always stays.
  @inline(__always)
  mutating func keepMass(_ p: Double, _ row: UnsafeMutablePointer<S>) {
    deal()
    sortBuckets()
    let most = sorted[sorted.count - 1].value
    weights.removeAll(keepingCapacity: true)
    var total = 0.0
    for entry in sorted {
      let weight = entry.value == most ? 1 : exp(Double(entry.value) - Double(most))
      weights.append(weight)
      total += weight
    }
    var cumulative = 0.0
    for i in 0..<sorted.count - 1 {
      cumulative += weights[i] / total
      if !(cumulative <= 1 - p) { return }
      row[Int(sorted[i].code)] = -.infinity
    }
  }

  /// The bucket that a value falls into.
  private struct Deal {
    var low: S
    var scale: S
    var isUsable: Bool

    @inline(__always)
    func bucket(_ value: S) -> Int {
      isUsable ? min(wholePart((value - low) * scale), RowFilter.buckets - 1) : 0
    }
  }

  /// Sets `starts` to where each bucket begins among the entries in order.
  @inline(__always)
  private mutating func count() -> Deal {
    var (low, high) = (entries[0].value, entries[0].value)
    for entry in entries {
      if entry.value < low { low = entry.value }
      if entry.value > high { high = entry.value }
    }
    // Subtracting and scaling never change the order of two numbers, so buckets are in order too. Where the range is
    // empty or too large to compute with, everything falls into one bucket.
    let scale = S(Self.buckets - 1) / (high - low)
    let deal = Deal(low: low, scale: scale, isUsable: (high - low).isFinite && scale.isFinite)
    starts.removeAll(keepingCapacity: true)
    starts.append(contentsOf: repeatElement(0, count: Self.buckets + 1))
    for entry in entries { starts[deal.bucket(entry.value) + 1] += 1 }
    for i in 0..<Self.buckets { starts[i + 1] += starts[i] }
    return deal
  }

  /// Counting sort of the entries by bucket, keeping their order within each.
  @inline(__always)
  private mutating func deal() {
    let deal = count()
    if sorted.count < entries.count {
      sorted.append(contentsOf: entries[sorted.count...])
    } else {
      sorted.removeLast(sorted.count - entries.count)
    }
    for entry in entries {
      let bucket = deal.bucket(entry.value)
      sorted[Int(starts[bucket])] = entry
      starts[bucket] += 1
    }
    // Each start has moved to its bucket's end: the next one's start.
    for i in stride(from: Self.buckets, to: 0, by: -1) { starts[i] = starts[i - 1] }
    starts[0] = 0
  }

  /// Sorts each bucket by value, then code.
  @inline(__always)
  private mutating func sortBuckets() {
    for bucket in 0..<Self.buckets {
      let (start, end) = (Int(starts[bucket]), Int(starts[bucket + 1]))
      if end - start <= 1 { continue }
      if end - start > 48 {
        sorted[start..<end].sort { $0.value < $1.value || ($0.value == $1.value && $0.code < $1.code) }
        continue
      }
      for i in start + 1..<end {
        let entry = sorted[i]
        var place = i
        while place > start && sorted[place - 1].value > entry.value {
          sorted[place] = sorted[place - 1]
          place -= 1
        }
        sorted[place] = entry
      }
    }
  }
}

/// The integer part of a number, by its own type's conversion: the generic one is many times slower.
@inline(__always)
private func wholePart<S: TensorScalar>(_ x: S) -> Int {
  if let single = x as? Float { return Int(single) }
  if let double = x as? Double { return Int(double) }
  return Int(x)
}
