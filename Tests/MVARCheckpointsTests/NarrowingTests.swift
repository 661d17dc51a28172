// Rounding to half and bfloat16: every half value survives the conversion to Float and back, ties go to even, and
// values that do not fit are refused with the tensor's name.

import MVARCheckpoints
import MVARFiles
import Testing

@Suite struct NarrowingTests {
  @Test func everyHalfSurvivesTheWayThere() {
    for bits in UInt16.min...UInt16.max {
      let value = floatFromHalf(bits)
      #expect(value.isNaN ? floatFromHalf(halfFromFloat(value)).isNaN : halfFromFloat(value) == bits)
      let wide = floatFromBFloat16(bits)
      #expect(wide.isNaN ? floatFromBFloat16(bfloat16FromFloat(wide)).isNaN : bfloat16FromFloat(wide) == bits)
    }
  }

  @Test func everyMidpointGoesToTheEvenNeighbor() {
    for bits in UInt16(0)..<0x7bff {
      let (low, high) = (floatFromHalf(bits), floatFromHalf(bits + 1))
      let middle = (low + high) / 2
      let even = bits & 1 == 0 ? bits : bits + 1
      #expect(halfFromFloat(middle) == even)
      #expect(halfFromFloat(middle.nextUp) == bits + 1)
      #expect(halfFromFloat(middle.nextDown) == bits)
      #expect(halfFromFloat(-middle) == even | 0x8000)
    }
    #expect(halfFromFloat(65519.996) == 0x7bff)
    #expect(halfFromFloat(65520) == 0x7c00)
    #expect(bfloat16FromFloat(Float(bitPattern: 0x3f80_8000)) == 0x3f80)
    #expect(bfloat16FromFloat(Float(bitPattern: 0x3f81_8000)) == 0x3f82)
  }

  @Test func numbersThatDoNotFitAreRefused() throws {
    let tensor = try StoredTensor([1, 70000] as [Float], shape: [2])
    #expect(throws: FileError(nil, "holds 70000.0, which is too large for float16")) {
      _ = try tensor.converted(to: .float16)
    }
    #expect(try tensor.converted(to: .bfloat16).floats()[0] == 1)
    #expect(throws: FileError(nil, "cannot be stored as int8")) {
      _ = try tensor.converted(to: .int8)
    }
  }
}
