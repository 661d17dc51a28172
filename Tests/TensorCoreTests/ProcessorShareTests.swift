// The processor time limits of control groups, converted to a sensible number of threads.

import TensorCore
import Testing

@Suite struct ProcessorShareTests {
  private static let all = "max 100000\n"

  @Test(
    arguments: [
      (["/cpu.max": "200000 100000\n"], "0::/\n", 2), (["/cpu.max": "150000 100000\n"], "0::/\n", 2),
      (["/cpu.max": "10000 100000"], "0::/\n", 1), (["/cpu.max": all], "0::/\n", nil),
      (["/a/b/cpu.max": all, "/a/cpu.max": "300000 100000\n"], "0::/a/b\n", 3),
      (["/a/b/cpu.max": "400000 50000\n", "/cpu.max": "1200000 100000\n"], "1:name=x:/y\n0::/a/b\n", 8),
      (["/c/cpu.max": "100000 100000\n"], "0::/a\n", nil), (["/cpu.max": "100000 100000\n"], "4:cpu:/a\n", nil),
      ([:], "0::/a\n", nil), (["/cpu.max": "100000 100000\n"], "", nil),
      (["/cpu.max": "0 100000"], "0::/", nil), (["/cpu.max": "100000 0"], "0::/", nil),
      (["/cpu.max": "-5 100000"], "0::/", nil), (["/cpu.max": "9223372036854775807 1"], "0::/", Int.max),
      (["/cpu.max": "a b c"], "0::/", nil),
    ] as [([String: String], String, Int?)])
  func theTightestGroupCounts(_ files: [String: String], _ membership: String, _ expected: Int?) {
    #expect(ProcessorShare.limit(membership: membership) { files[$0] } == expected)
  }
}
