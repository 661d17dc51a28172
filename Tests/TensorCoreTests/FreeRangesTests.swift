// Free parts of a span: best fit, joining, and a long random history that must never hand a byte out twice.

import TensorCore
import Testing

@Suite struct FreeRangesTests {
  @Test func `the smallest range that is large enough is cut from its start`() {
    var free = FreeRanges(count: 100)
    let first = free.take(30)
    let second = free.take(10)
    #expect(first == 0..<30 && second == 30..<40 && free.ranges == [40..<100])
    free.giveBack(0..<30)
    #expect(free.take(20) == 0..<20)
    #expect(free.take(61) == nil)
    #expect(free.take(60) == 40..<100)
    #expect(free.ranges == [20..<30])
  }

  @Test func `neighbours become one range`() {
    var free = FreeRanges(count: 50)
    _ = free.take(50)
    free.giveBack(10..<20)
    free.giveBack(30..<40)
    #expect(free.ranges == [10..<20, 30..<40])
    free.giveBack(20..<30)
    #expect(free.ranges == [10..<40])
    free.giveBack(0..<10)
    free.giveBack(40..<50)
    #expect(free.ranges == [0..<50])
    free.giveBack(50..<50)
    #expect(free.ranges == [0..<50])
  }

  @Test func `no part is given out twice and none is lost`() {
    let count = 1000
    var free = FreeRanges(count: count)
    var owner = [Int?](repeating: nil, count: count)
    var taken: [(number: Int, range: Range<Int>)] = []
    var random = SystemRandomNumberGenerator()
    for number in 0..<20_000 {
      if Bool.random(using: &random), let range = free.take(Int.random(in: 1...90, using: &random)) {
        #expect(range.allSatisfy { owner[$0] == nil })
        for place in range { owner[place] = number }
        taken.append((number, range))
      } else if let last = taken.indices.randomElement(using: &random) {
        let (number, range) = taken.remove(at: last)
        #expect(range.allSatisfy { owner[$0] == number })
        for place in range { owner[place] = nil }
        free.giveBack(range)
      }
      let freePlaces = free.ranges.reduce(0) { $0 + $1.count }
      #expect(freePlaces == owner.count { $0 == nil })
      #expect(zip(free.ranges, free.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
    }
  }
}
