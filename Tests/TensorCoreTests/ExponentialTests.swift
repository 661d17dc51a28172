// The vector exponential against the mathematical library in double precision, over its whole range.

import Foundation
import TensorCore
import Testing

@Suite struct ExponentialTests {
  @Test func accurateToTwoUnitsInTheLastPlace() {
    // Every 997th float of either sign whose exponential is a normal number: about two million, eight at a time.
    var worst = (x: Float(0), units: 0.0)
    for sign in [UInt32(0), 0x8000_0000] {
      let end = Float(sign == 0 ? 88.72 : 87.33).bitPattern
      for first in stride(from: UInt32(0), to: end, by: 997 * 8) {
        var x = SIMD8<Float>()
        for lane in 0..<8 {
          x[lane] = Float(bitPattern: min(first + UInt32(lane) * 997, end) | sign)
        }
        let y = vectorExponential(x)
        for lane in 0..<8 {
          let exact = exp(Double(x[lane]))
          let units = abs(Double(y[lane]) - exact) / Double(Float(exact).ulp)
          if !(units <= worst.units) { worst = (x[lane], units) }
        }
      }
    }
    #expect(worst.units <= 2, "\(worst.units) units in the last place at \(worst.x)")
  }

  @Test func noResultIsSubnormal() {
    for step in 0..<1700 {
      let x = -87.3 - Float(step) * 0.01
      let exact = exp(Double(x))
      let y = vectorExponential(SIMD8(repeating: x))[0]
      #expect(y == 0 || y.isNormal, "exp(\(x)) = \(y)")
      #expect(abs(Double(y) - exact) <= 1.2e-38, "exp(\(x)) = \(y), expected \(exact)")
    }
  }

  @Test func extremes() {
    let x = SIMD8<Float>(.nan, .infinity, -.infinity, 0, -0.0, .greatestFiniteMagnitude, -104, 89)
    let y = vectorExponential(x)
    #expect(y[0].isNaN)
    #expect(y[1] == .infinity && y[5] == .infinity && y[7] == .infinity)
    #expect(y[2] == 0 && y[6] == 0)
    #expect(y[3] == 1 && y[4] == 1)
  }
}
