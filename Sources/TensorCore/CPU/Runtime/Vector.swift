// Eight elements at a time, or sixteen or four: loads and stores at any address, loops with a partial last step, sums
// and maxima.
//
// Loops pass their body an index and the number of valid lanes there: 8, or the remainder at the end. Both take the
// same path, so an element's result does not depend on where in the tensor it lies. Partial vectors are copied as
// bytes: if single lanes are accessed, the compiler splits all of a loop's vectors into scalars. Sums use four
// accumulators of eight lanes each, which is faster than one and rounds less. Deliberately absent: fused multiply-add
// and the library's `max`, which cost a call per lane on processors without them.

/// The number of elements up to which work is not split among threads.
let serialLimit = 1 << 14

/// The number of rows of a given length that make a piece of work worth a thread.
@inline(__always)
func rowsPerPiece(_ length: Int) -> Int { max(1, serialLimit / max(length, 1)) }

/// Eight elements from `start + place`; if fewer than eight are valid, the others are the filler.
@inline(__always)
func eight<S: TensorScalar>(
  _ start: UnsafePointer<S>, _ place: Int, _ lanes: Int = 8, filler: S = 0
) -> SIMD8<S> {
  if lanes == 8 { return UnsafeRawPointer(start + place).loadUnaligned(as: SIMD8<S>.self) }
  var result = SIMD8<S>(repeating: filler)
  withUnsafeMutableBytes(of: &result) {
    $0.copyMemory(from: UnsafeRawBufferPointer(start: start + place, count: lanes * MemoryLayout<S>.stride))
  }
  return result
}

/// Writes the valid lanes to `start + place`.
@inline(__always)
func put<S: TensorScalar>(_ value: SIMD8<S>, _ start: UnsafeMutablePointer<S>, _ place: Int, _ lanes: Int = 8) {
  if lanes == 8 {
    UnsafeMutableRawPointer(start + place).storeBytes(of: value, as: SIMD8<S>.self)
  } else {
    withUnsafeBytes(of: value) {
      UnsafeMutableRawPointer(start + place).copyMemory(
        from: $0.baseAddress.unsafelyUnwrapped, byteCount: lanes * MemoryLayout<S>.stride)
    }
  }
}

/// Sixteen elements from `start + place`.
@inline(__always)
func sixteen<S: TensorScalar>(_ start: UnsafePointer<S>, _ place: Int) -> SIMD16<S> {
  UnsafeRawPointer(start + place).loadUnaligned(as: SIMD16<S>.self)
}

/// Writes sixteen elements to `start + place`.
@inline(__always)
func put<S: TensorScalar>(_ value: SIMD16<S>, _ start: UnsafeMutablePointer<S>, _ place: Int) {
  UnsafeMutableRawPointer(start + place).storeBytes(of: value, as: SIMD16<S>.self)
}

/// Writes the first of sixteen elements.
@inline(__always)
func put<S: TensorScalar>(_ value: SIMD16<S>, _ target: UnsafeMutablePointer<S>, lanes: Int) {
  if lanes == 16 {
    UnsafeMutableRawPointer(target).storeBytes(of: value, as: SIMD16<S>.self)
  } else {
    for lane in 0..<lanes { target[lane] = value[lane] }
  }
}

/// Four elements starting at `start`.
@inline(__always)
func four<S: TensorScalar>(_ start: UnsafePointer<S>) -> SIMD4<S> {
  UnsafeRawPointer(start).loadUnaligned(as: SIMD4<S>.self)
}

/// Writes four elements.
@inline(__always)
func put<S: TensorScalar>(_ value: SIMD4<S>, _ start: UnsafeMutablePointer<S>) {
  UnsafeMutableRawPointer(start).storeBytes(of: value, as: SIMD4<S>.self)
}

/// Runs `body(place, lanes)` over 0 ..< count in steps of eight.
@inline(__always)
func byEights(_ count: Int, _ body: (Int, Int) -> Void) {
  let whole = count & ~7
  var place = 0
  while place < whole {
    body(place, 8)
    place += 8
  }
  if whole < count { body(whole, count - whole) }
}

/// Σ of the eight lanes, by halves.
@inline(__always)
func laneSum<S: TensorScalar>(_ x: SIMD8<S>) -> S {
  let four = x.lowHalf + x.highHalf
  let two = four.lowHalf + four.highHalf
  return two[0] + two[1]
}

/// The larger of each pair of lanes; a NaN in `b` loses.
///
/// Single precision uses the concrete type, whose comparison is one instruction: the comparison of generic vectors is a
/// branch per lane even when specialized, which made the forward of the cross-entropy take three times as long.
@inline(__always)
func larger<S: TensorScalar>(_ a: SIMD8<S>, _ b: SIMD8<S>) -> SIMD8<S> {
  if S.self == Float.self {
    let (x, y) = (unsafeBitCast(a, to: SIMD8<Float>.self), unsafeBitCast(b, to: SIMD8<Float>.self))
    return unsafeBitCast(x.replacing(with: y, where: y .> x), to: SIMD8<S>.self)
  }
  return a.replacing(with: b, where: b .> a)
}

/// Σ of `term(place, lanes)` over 0 ..< count; invalid lanes are left out.
@inline(__always)
func total<S: TensorScalar>(_ count: Int, _ term: (Int, Int) -> SIMD8<S>) -> S {
  var (a, b, c, d) = (SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero)
  var place = 0
  while place + 32 <= count {
    a += term(place, 8)
    b += term(place + 8, 8)
    c += term(place + 16, 8)
    d += term(place + 24, 8)
    place += 32
  }
  while place + 8 <= count {
    a += term(place, 8)
    place += 8
  }
  var sum = laneSum((a + b) + (c + d))
  if place < count {
    let last = term(place, count - place)
    for lane in 0..<(count - place) { sum += last[lane] }
  }
  return sum
}

/// Two sums over 0 ..< count in one pass.
@inline(__always)
func totals<S: TensorScalar>(_ count: Int, _ terms: (Int, Int) -> (SIMD8<S>, SIMD8<S>)) -> (S, S) {
  var (a, b, c, d) = (SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero, SIMD8<S>.zero)
  var place = 0
  while place + 16 <= count {
    let first = terms(place, 8)
    let second = terms(place + 8, 8)
    a += first.0
    b += first.1
    c += second.0
    d += second.1
    place += 16
  }
  while place < count {
    let lanes = min(8, count - place)
    let last = terms(place, lanes)
    for lane in 0..<lanes {
      a[lane] += last.0[lane]
      b[lane] += last.1[lane]
    }
    place += 8
  }
  return (laneSum(a + c), laneSum(b + d))
}

/// The largest of `count` values, −∞ if there are none; NaNs are ignored.
@inline(__always)
func largest<S: TensorScalar>(_ x: UnsafePointer<S>, _ count: Int) -> S {
  var (a, b) = (SIMD8<S>(repeating: -.infinity), SIMD8<S>(repeating: -.infinity))
  var place = 0
  while place + 16 <= count {
    a = larger(a, eight(x, place))
    b = larger(b, eight(x, place + 8))
    place += 16
  }
  while place < count {
    a = larger(a, eight(x, place, min(8, count - place), filler: -.infinity))
    place += 8
  }
  a = larger(a, b)
  var result = a[0]
  for lane in 1..<8 where a[lane] > result { result = a[lane] }
  return result
}

/// σ(x) = 1/(1 + exp(−x)).
@inline(__always)
func sigmoid<S: TensorScalar>(_ x: SIMD8<S>) -> SIMD8<S> {
  SIMD8<S>(repeating: 1) / (S.exponential(-x) + 1)
}

/// Runs `body` with uninitialized temporary memory for `count` elements.
@inline(__always)
func withScratch<S: TensorScalar>(_ count: Int, _ body: (UnsafeMutablePointer<S>) -> Void) {
  let buffer = HostBuffer<S>(count: count)
  withExtendedLifetime(buffer) { body(buffer.start) }
}

/// Σ over fixed pieces of 0 ..< count of what `body` returns for each, added in order in double precision.
@inline(__always)
func totalOfPieces(_ count: Int, _ body: (Range<Int>) -> Double) -> Double {
  let grain = serialLimit
  var sums = [Double](repeating: 0, count: (count + grain - 1) / grain)
  sums.withUnsafeMutableBufferPointer { sums in
    let sums = sums.baseAddress
    parallel(count, grain: grain) { range in
      sums.unsafelyUnwrapped[range.lowerBound / grain] = body(range)
    }
  }
  return sums.reduce(0, +)
}
