// Products by weights in short numbers: the processor's instructions against their plain twins bit by bit, both against
// sums in double precision, and the registry's bars for rounded factors.

import MVARTestSupport
import TensorCore
import Testing

/// Values in (−1, 1), the same for the same seed.
private func random(_ count: Int, _ seed: UInt64, scale: Float = 1) -> [Float] {
  let stream = RandomStream(seed: seed, stream: 0)
  return (0..<count).map { Float(stream.uniform($0, purpose: .initialization) * 2 - 1) * scale }
}

/// `CPU<Float>` with weights of linear layers in short numbers, the engine that a loaded model of `Format` runs on.
private protocol Shortening: ForwardingBackend where Base == CPU<Float> {
  static var format: WeightFormat { get }
}
extension Shortening {
  static func short(_ weight: Tensor<Self>) -> Tensor<CPU<Float>> {
    let short = ShortWeight(
      rounding: weight.storage.isEmpty ? [] : CPU<Float>.scalars(weight.storage), outputs: weight.shape[0],
      inputs: weight.shape[1], to: format)
    return Tensor(shape: weight.shape, storage: CPU<Float>.makeStorage(short, on: HostDevice()))
  }
}
extension HostBuffer where Scalar == Float {
  fileprivate var isEmpty: Bool { CPU<Float>.scalars(self).isEmpty }
}
private enum BF16Engine: Shortening, HostBackend {
  typealias Base = CPU<Float>
  static var format: WeightFormat { .bf16 }
  static func linear(_ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>?) -> Tensor<Self> {
    Base.linear(x.rewrapped(), weight: short(weight), bias: bias?.rewrapped()).rewrapped()
  }
}

@Suite struct ShortProductTests {
  /// Sizes on both sides of every edge: words, vectors, panels, tiles, passes of 256 words.
  private static let sizes = [
    (1, 1, 1), (2, 3, 5), (3, 4, 13), (5, 31, 12), (7, 32, 48), (8, 33, 49), (9, 66, 24), (16, 511, 25), (24, 512, 7),
    (31, 513, 61), (33, 1024, 30), (40, 1030, 100), (2, 2050, 96), (1, 0, 3), (513, 70, 50),
  ]

  private func linear(
    _ x: [Float], _ weight: ShortWeight, bias: [Float]? = nil, elements: ProductElements? = nil
  ) -> [Float] {
    let rows = weight.inputs == 0 ? 1 : x.count / weight.inputs
    var y = [Float](repeating: .nan, count: rows * weight.outputs)
    y.withUnsafeMutableBufferPointer { y in
      x.withUnsafeBufferPointer { x in
        withExtendedLifetime(bias) {
          let none = UnsafePointer(y.baseAddress!)
          (bias ?? []).withUnsafeBufferPointer { b in
            ShortProduct.linear(
              x.baseAddress ?? none, weight, bias == nil ? nil : b.baseAddress, y.baseAddress!, rows: rows,
              elements: elements)
          }
        }
      }
    }
    return y
  }

  private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

  private func bf16(_ x: Float) -> Double { StorageFormat.bfloat16.rounded(Double(x)) }

  // MARK: bf16

  @Test(arguments: sizes)
  func instructionAndPlainPairsAreEqual(_ size: (rows: Int, inputs: Int, outputs: Int)) {
    let x = random(size.rows * size.inputs, 1, scale: 3)
    let weight = ShortWeight(
      rounding: random(size.outputs * size.inputs, 2), outputs: size.outputs, inputs: size.inputs, to: .bf16)
    let bias = random(size.outputs, 3)
    #expect(bits(linear(x, weight, bias: bias)) == bits(linear(x, weight, bias: bias, elements: .plainPairs)))
  }

  /// The error of a sum of depth terms is at most depth · ε times the sum of their magnitudes; products are exact.
  @Test(arguments: sizes)
  func pairsAreRight(_ size: (rows: Int, inputs: Int, outputs: Int)) {
    let x = random(size.rows * size.inputs, 4)
    let values = random(size.outputs * size.inputs, 5)
    let weight = ShortWeight(rounding: values, outputs: size.outputs, inputs: size.inputs, to: .bf16)
    let y = linear(x, weight)
    var wrong = 0
    for row in 0..<size.rows {
      for output in 0..<size.outputs {
        var (sum, magnitude) = (0.0, 0.0)
        for i in 0..<size.inputs {
          let term = bf16(x[row * size.inputs + i]) * bf16(values[output * size.inputs + i])
          sum += term
          magnitude += abs(term)
        }
        let error = abs(Double(y[row * size.outputs + output]) - sum)
        if !(error <= Double(size.inputs) * 0x1p-24 * magnitude) { wrong += 1 }
      }
    }
    #expect(wrong == 0)
  }

  /// Halves between two bf16, numbers that round to infinity, NaN, infinities, zeros of both signs.
  @Test func specialNumbersArePlainOnes() {
    let special: [Float] = [
      .init(bitPattern: 0x3F80_8000), .init(bitPattern: 0x3F81_8000), .init(bitPattern: 0xBF80_8001), 0, -0.0, 1,
      .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 0x1p-126, 0x1.8p-100, 0x1p60, -0x1.02p-3,
    ]
    for value in special + [.infinity, -.infinity, .nan] {
      var x = random(34, 6)
      (x[0], x[33]) = (value, value)
      // An exact 1 in the first place: the result of the others is not lost.
      var values = [Float](repeating: 0, count: 3 * 34)
      for output in 0..<3 { (values[output * 34], values[output * 34 + 33]) = (1, output == 1 ? 0.5 : 0) }
      let weight = ShortWeight(rounding: values, outputs: 3, inputs: 34, to: .bf16)
      let (found, plain) = (linear(x, weight), linear(x, weight, elements: .plainPairs))
      #expect(zip(found, plain).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }, "\(value): \(found), \(plain)")
      if value.isInfinite { #expect(found[1] == value, "the other half of a word changes nothing") }
      if value.isNaN { #expect(found.allSatisfy { $0.isNaN }) }
    }
  }

  /// Below 2⁻¹²⁶ the instruction takes numbers as zero, so that each product may be off by that much.
  @Test func denormalNumbersAreZeroOrThemselves() {
    let count = 64
    let x = random(count, 7, scale: 0x1p-70)
    let values = random(count, 8, scale: 0x1p-58)
    let weight = ShortWeight(rounding: values, outputs: 1, inputs: count, to: .bf16)
    let (found, plain) = (linear(x, weight)[0], linear(x, weight, elements: .plainPairs)[0])
    #expect(abs(found - plain) <= Float(2 * count) * 0x1p-126)
    // A denormal number itself becomes zero where x and weights are rounded, here and there.
    let tiny = ShortWeight(rounding: [0x1p-130, 1], outputs: 1, inputs: 2, to: .bf16)
    #expect(tiny.values == [0, 1])
    #expect(linear([1, 0x1p-130], tiny) == [0] && linear([1, 0x1p-130], tiny, elements: .plainPairs) == [0])
  }

  // MARK: int8

  @Test(arguments: sizes)
  func bytesAreExact(_ size: (rows: Int, inputs: Int, outputs: Int)) {
    let x = random(size.rows * size.inputs, 9, scale: 5)
    let weight = ShortWeight(
      rounding: random(size.outputs * size.inputs, 10), outputs: size.outputs, inputs: size.inputs, to: .int8)
    let bias = random(size.outputs, 11)
    let found = linear(x, weight, bias: bias)
    #expect(bits(found) == bits(linear(x, weight, bias: bias, elements: .plainBytes)))
    let bytes = weight.bytes.map { Int8(bitPattern: $0) }
    var expected: [Float] = []
    for row in 0..<size.rows {
      let own = x[row * size.inputs..<(row + 1) * size.inputs]
      let largest = own.map(abs).max() ?? 0
      let rounded = own.map { largest == 0 ? 0 : Int(($0 * (127 / largest)).rounded(.toNearestOrEven)) }
      for output in 0..<size.outputs {
        let sum = rounded.enumerated().reduce(0) { $0 + $1.element * Int(bytes[output * size.inputs + $1.offset]) }
        expected.append(Float(sum) * weight.scales[output] * (largest / 127) + bias[output])
      }
    }
    #expect(bits(found) == bits(expected))
  }

  /// Every term at its largest, in as many inputs as are allowed: the sum fits.
  @Test func theLargestSumFits() {
    let count = ShortWeight.mostInputs
    let weight = ShortWeight(
      rounding: [Float](repeating: -1, count: count), outputs: 1, inputs: count, to: .int8)
    for elements in [ProductElements?.none, .plainBytes] {
      let sums = linear([Float](repeating: 2, count: count), weight, elements: elements)
      #expect(abs(sums[0] + 2 * Float(count)) < 1)
    }
  }

  @Test func rowsOfZerosAndRowsThatAreNotFinite() {
    let values: [Float] = [1, -2, 3, 4, 0, 0, 0, 0, 1, .infinity, 0, 0, .nan, 1, 1, 1, 1e-38, 0, 0, 0]
    let weight = ShortWeight(rounding: values, outputs: 5, inputs: 4, to: .int8)
    let y = linear([0, 0, 0, 0, 1, .nan, 0, 0, 1, 0, -.infinity, 0, 1, 1, 1, 1, 1e-38, 0, 0, 0], weight)
    #expect(y[0] == 0 && y[1] == 0 && y[2].isNaN && y[3].isNaN && y[4] == 0)
    #expect(y[5..<15].allSatisfy { $0.isNaN })
    #expect(abs(y[15] - 6) < 0.1 && y[16] == 0 && y[17].isNaN && y[18].isNaN && y[19] == 0)
    #expect(y[20] == 0 && y[21] == 0)
  }

  // MARK: Both

  @Test(arguments: [WeightFormat.bf16, .int8])
  func rowsDependOnNothingElse(_ format: WeightFormat) {
    let (rows, inputs, outputs) = (45, 77, 53)
    let x = random(rows * inputs, 12)
    let weight = ShortWeight(rounding: random(outputs * inputs, 13), outputs: outputs, inputs: inputs, to: format)
    let all = linear(x, weight)
    for row in [0, 7, 31, 32, 44] {
      let alone = linear(Array(x[row * inputs..<(row + 1) * inputs]), weight)
      #expect(bits(alone) == bits(Array(all[row * outputs..<(row + 1) * outputs])))
    }
  }

  @Test(arguments: [WeightFormat.bf16, .int8], [1, 2, 3, 4, 8, 33])
  func storedNumbersAreUsedAsTheyAre(_ format: WeightFormat, _ inputs: Int) {
    let outputs = 5
    let weight = ShortWeight(rounding: random(outputs * inputs, 14), outputs: outputs, inputs: inputs, to: format)
    // At an odd address, as in a mapped file.
    let owner = Bytes([0] + weight.bytes)
    let region = HostRegion(owner: owner, start: UnsafeRawPointer(owner.start) + 1, byteCount: weight.bytes.count)
    let stored = ShortWeight(stored: region, outputs: outputs, inputs: inputs, format: format, scales: weight.scales)
    #expect(stored.values == weight.values && stored.bytes == weight.bytes)
    let x = random(3 * inputs, 15)
    #expect(bits(linear(x, stored)) == bits(linear(x, weight)))
  }

  /// Every operator but `linear` reads a short weight as the numbers that it stands for.
  @Test(arguments: [WeightFormat.bf16, .int8])
  func otherOperatorsSeeNumbers(_ format: WeightFormat) throws {
    typealias E = CPU<Float>
    let short = ShortWeight(rounding: random(6 * 10, 16), outputs: 6, inputs: 10, to: format)
    let weight = Tensor<E>(shape: [6, 10], storage: E.makeStorage(short, on: HostDevice()))
    let plain = try Tensor<E>(short.values, shape: [6, 10], on: HostDevice())
    func numbers(_ tensor: Tensor<E>) throws -> [Float] { try tensor.scalars() }
    #expect(try numbers(weight) == short.values)
    #expect(try numbers(weight.rows(2..<4)) == Array(short.values[20..<40]))
    #expect(
      try numbers(E.combine(weight, times: 2, plain, times: 1)) == numbers(E.combine(plain, times: 2, plain, times: 1)))
    #expect(try numbers(weight) == short.values)
    let x = try Tensor<E>(random(30, 17), shape: [3, 10], on: HostDevice())
    let dy = try Tensor<E>(random(18, 18), shape: [3, 6], on: HostDevice())
    let d = E.dLinear(dy, x: x, weight: weight, hasBias: true)
    let expected = E.dLinear(dy, x: x, weight: plain, hasBias: true)
    #expect(try numbers(d.x) == numbers(expected.x))
    #expect(try numbers(d.weight) == numbers(expected.weight))
  }

  /// The other operators, and composites of several, compute in single precision.
  @Test("The registry's bars for factors rounded to bf16", arguments: OperatorCases.all.filter { $0.isProduct })
  func bars(operation: any OperatorCase) throws {
    let device = HostDevice()
    for finding in try operation.findings(on: BF16Engine.self, device: device, precision: .bfloat16)
      + operation.findings(on: MixedCPU.self, device: device, precision: .bfloat16)
    {
      Issue.record("\(finding)")
    }
  }

  // MARK: Training

  /// The three products of a layer: the instruction, its plain twin, and for the forward the short weight's product.
  @Test(arguments: sizes)
  func roundedProductsAreThoseOfPlainPairs(_ size: (rows: Int, inputs: Int, outputs: Int)) {
    let (rows, inputs, outputs) = size
    let (x, dY) = (random(rows * inputs + 1, 19), random(rows * outputs, 20))
    let values = random(outputs * inputs + 1, 21)
    func products(_ elements: ProductElements) -> [[Float]] {
      var results = [rows * outputs, rows * inputs + 1, outputs * inputs + 1].map { [Float](repeating: 0, count: $0) }
      for index in results.indices {
        results[index].withUnsafeMutableBufferPointer { result in
          let (x, w, dY, y) = (Pointers(x), Pointers(values), Pointers(dY), result.baseAddress!)
          defer { withExtendedLifetime((x, w, dY)) {} }
          switch index {
          case 0:
            RoundedProduct.linear(
              x.start, w.start, nil, y, rows: rows, inputs: inputs, outputs: outputs, elements: elements)
          case 1:
            RoundedProduct.inputGradient(
              dY.start, w.start, y, rows: rows, inputs: inputs, outputs: outputs, elements: elements)
          default:
            RoundedProduct.weightGradient(
              dY.start, x.start, y, rows: rows, inputs: inputs, outputs: outputs, elements: elements)
          }
        }
      }
      return results
    }
    let (found, plain) = (products(ProductElements.hasInstructions ? .pairs : .plainPairs), products(.plainPairs))
    for (found, plain) in zip(found, plain) { #expect(bits(found) == bits(plain)) }
    guard inputs > 0 else { return }
    let short = ShortWeight(rounding: Array(values.dropLast()), outputs: outputs, inputs: inputs, to: .bf16)
    #expect(bits(linear(Array(x.dropLast()), short)) == bits(found[0]))
  }
}

/// Numbers at an address of their own.
private final class Pointers {
  let start: UnsafeMutablePointer<Float>

  init(_ values: [Float]) {
    start = .allocate(capacity: values.count)
    start.initialize(from: values, count: values.count)
  }

  deinit { start.deallocate() }
}

/// Bytes at an aligned address.
private final class Bytes {
  let start: UnsafeMutableRawPointer

  init(_ bytes: [UInt8]) {
    start = .allocate(byteCount: bytes.count, alignment: 64)
    start.copyMemory(from: bytes, byteCount: bytes.count)
  }

  deinit { start.deallocate() }
}
