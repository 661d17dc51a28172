// Models whose linear layers have weights in short numbers: against the plain twin, which rounds factors and then computes
// in plain loops, and by which keys a file's weights are known to be those of linear layers.

import MVAR
import MVARCheckpoints
import MVARTestSupport
import TensorCore
import Testing

/// The plain twin of `--precision bf16`: `Reference` with the factors of linear layers rounded to bf16.
private enum RoundedReference: ForwardingBackend {
  typealias Base = Reference<Float>

  static func linear(_ x: Tensor<Self>, weight: Tensor<Self>, bias: Tensor<Self>?) -> Tensor<Self> {
    func rounded(_ tensor: Tensor<Self>) -> Tensor<Base> {
      Tensor(shape: tensor.shape, storage: tensor.storage.map { Float(StorageFormat.bfloat16.rounded(Double($0))) })
    }
    return Base.linear(rounded(x), weight: rounded(weight), bias: bias?.rewrapped()).rewrapped()
  }
}

/// A source without numbers that remembers which weights are linear layers'.
private final class RoleSource: ParameterSource {
  typealias B = Reference<Float>
  var roles: [String: WeightRole] = [:]
  var others: [String] = []

  func value(_ name: String, shape: Shape, initial: InitialValue) -> Tensor<B> {
    others.append(CheckpointNames.key(of: name, in: .transformer))
    return Tensor(shape: shape, storage: [])
  }
  func linearWeight(_ name: String, shape: Shape, initial: InitialValue, role: WeightRole) -> Tensor<B> {
    roles[CheckpointNames.key(of: name, in: .transformer)] = role
    return Tensor(shape: shape, storage: [])
  }
}

@Suite struct ShortWeightTests {
  private func logits<B: Backend>(_: B.Type, on device: B.Device, sharesModulation: Bool = false) throws -> [Float]
  where B.Scalar == Float {
    let model = try TinyModels.transformer(B.self, on: device, sharesModulation: sharesModulation)
    let configuration = model.configuration
    var random = RandomValues(seed: 5)
    let inputs = try random.normal([2, configuration.scaleList.length - 1, configuration.codeWidth])
      .tensor(B.self, on: device)
    return try model.trajectory.independentRuns.flatMap { run in
      try model.logits(
        model.condition(labels: [1, 4]),
        inputs: Variable(B.slice(inputs, axis: 1, model.trajectory.inputRows(of: run))), scales: run
      ).value.scalars()
    }
  }

  private func distance(_ a: [Float], _ b: [Float]) -> Double {
    let squares = zip(a, b).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
    return (squares / b.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
  }

  /// What single precision changes may tip the rounding of a factor, by 2⁻⁸ of it; most factors are not tipped.
  @Test(arguments: [false, true])
  func bf16IsThatOfThePlainTwin(_ sharesModulation: Bool) throws {
    let exact = try logits(Reference<Float>.self, on: HostDevice(), sharesModulation: sharesModulation)
    let twin = try logits(RoundedReference.self, on: HostDevice(), sharesModulation: sharesModulation)
    let rounding = distance(twin, exact)
    #expect(rounding > 1e-4 && rounding < 0.03, "\(rounding)")
    for found in [
      try logits(CPU<Float>.self, on: HostDevice(weights: .bf16), sharesModulation: sharesModulation),
      try logits(MixedCPU.self, on: HostDevice(), sharesModulation: sharesModulation),
    ] {
      #expect(distance(found, twin) < 0.2 * rounding, "\(distance(found, twin)) of \(rounding)")
    }
  }

  @Test func int8IsCloseAndCoarser() throws {
    let exact = try logits(CPU<Float>.self, on: HostDevice())
    let bf16 = distance(try logits(CPU<Float>.self, on: HostDevice(weights: .bf16)), exact)
    let int8 = distance(try logits(CPU<Float>.self, on: HostDevice(weights: .int8)), exact)
    #expect(bf16 < int8 && int8 < 0.05, "bf16 \(bf16), int8 \(int8)")
  }

  /// Other engines of this process keep weights as they are, whatever the device says.
  @Test func otherEnginesKeepFloats() throws {
    #expect(
      try logits(Reference<Float>.self, on: HostDevice(weights: .int8))
        == logits(Reference<Float>.self, on: HostDevice()))
    #expect(
      try logits(ForwardedCPU.self, on: HostDevice(weights: .int8)) == logits(CPU<Float>.self, on: HostDevice()))
  }

  @Test(arguments: [false, true])
  func rolesOfKeysAreThoseOfLayers(_ sharesModulation: Bool) throws {
    let source = RoleSource()
    _ = try MarkovianTransformer(
      TransformerConfiguration(depth: 12, scaleList: .pixels256, sharesModulation: sharesModulation), source,
      on: HostDevice())
    #expect(source.roles.count == 12 * (sharesModulation ? 4 : 5) + 3 + (sharesModulation ? 1 : 0))
    for (key, role) in source.roles { #expect(CheckpointNames.roleOfLinearWeight(key) == role, "\(key)") }
    for key in source.others { #expect(CheckpointNames.roleOfLinearWeight(key) == nil, "\(key)") }
  }
}
