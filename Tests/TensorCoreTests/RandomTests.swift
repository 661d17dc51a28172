// The random generator: the published test vectors of Philox 4×32-10, and the guarantees of our streams.

import TensorCore
import Testing

@Suite struct RandomTests {
  @Test(
    "Known answers of Philox 4×32 with ten rounds",
    arguments: [
      (
        SIMD4<UInt32>(repeating: 0), SIMD2<UInt32>(repeating: 0),
        SIMD4<UInt32>(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)
      ),
      (
        SIMD4<UInt32>(repeating: .max), SIMD2<UInt32>(repeating: .max),
        SIMD4<UInt32>(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)
      ),
      (
        SIMD4<UInt32>(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), SIMD2<UInt32>(0xa409_3822, 0x299f_31d0),
        SIMD4<UInt32>(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)
      ),
    ])
  func knownAnswers(counter: SIMD4<UInt32>, key: SIMD2<UInt32>, expected: SIMD4<UInt32>) {
    #expect(philox4x32(counter: counter, key: key) == expected)
  }

  @Test func numbersLieStrictlyInsideTheUnitInterval() {
    let stream = RandomStream(seed: 3, stream: 4)
    let numbers = (0..<40_000).map { stream.uniform($0, purpose: .token) }
    #expect(numbers.allSatisfy { $0 > 0 && $0 < 1 })
    // The mean of 40 000 uniform numbers has a standard deviation of 0.0014.
    #expect(abs(numbers.reduce(0, +) / 40_000 - 0.5) < 0.006)
  }

  @Test func numbersDependOnSeedStreamAndPurpose() {
    let stream = RandomStream(seed: 1 << 40, stream: 1 << 40)
    let others: [(RandomStream, RandomStream.Purpose)] = [
      (RandomStream(seed: 0, stream: 1 << 40), .token), (RandomStream(seed: 1 << 40, stream: 0), .token),
      (stream, .smooth), (stream, .shuffling),
    ]
    let numbers = (0..<64).map { stream.uniform($0, purpose: .token) }
    for (other, purpose) in others {
      #expect(Set(numbers).isDisjoint(with: (0..<64).map { other.uniform($0, purpose: purpose) }))
    }
  }

  @Test func aNumberIsAWordOfItsBlock() {
    let stream = RandomStream(seed: 9, stream: 2)
    let words = stream.words(block: 5, purpose: .smooth)
    for lane in 0..<4 {
      #expect(stream.uniform(20 + lane, purpose: .smooth) == (Double(words[lane]) + 0.5) * 0x1p-32)
    }
  }
}
