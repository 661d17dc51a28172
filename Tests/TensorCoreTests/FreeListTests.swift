// Free parts of a span: best fit, joining, and a long random history that must never allocate a byte twice.

import TensorCore
import Testing

@Suite struct FreeListTests {
  @Test func `the smallest range that is large enough is cut from its start`() {
    var freeList = FreeList(count: 100)
    let first = freeList.allocate(30)
    let second = freeList.allocate(10)
    #expect(first == 0..<30 && second == 30..<40 && freeList.ranges == [40..<100])
    freeList.free(0..<30)
    #expect(freeList.allocate(20) == 0..<20)
    #expect(freeList.allocate(61) == nil)
    #expect(freeList.allocate(60) == 40..<100)
    #expect(freeList.ranges == [20..<30])
  }

  @Test func `neighbors become one range`() {
    var freeList = FreeList(count: 50)
    _ = freeList.allocate(50)
    freeList.free(10..<20)
    freeList.free(30..<40)
    #expect(freeList.ranges == [10..<20, 30..<40])
    freeList.free(20..<30)
    #expect(freeList.ranges == [10..<40])
    freeList.free(0..<10)
    freeList.free(40..<50)
    #expect(freeList.ranges == [0..<50])
    freeList.free(50..<50)
    #expect(freeList.ranges == [0..<50])
  }

  @Test func `no part is given out twice and none is lost`() {
    let count = 1000
    var freeList = FreeList(count: count)
    var owner = [Int?](repeating: nil, count: count)
    var taken: [(number: Int, range: Range<Int>)] = []
    var random = SystemRandomNumberGenerator()
    for number in 0..<20_000 {
      if Bool.random(using: &random), let range = freeList.allocate(Int.random(in: 1...90, using: &random)) {
        #expect(range.allSatisfy { owner[$0] == nil })
        for place in range { owner[place] = number }
        taken.append((number, range))
      } else if let last = taken.indices.randomElement(using: &random) {
        let (number, range) = taken.remove(at: last)
        #expect(range.allSatisfy { owner[$0] == number })
        for place in range { owner[place] = nil }
        freeList.free(range)
      }
      let freePlaces = freeList.ranges.reduce(0) { $0 + $1.count }
      #expect(freePlaces == owner.count { $0 == nil })
      #expect(zip(freeList.ranges, freeList.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
    }
  }
}
