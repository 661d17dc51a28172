// How the weight of a linear layer is kept in memory, which is also what decides how it is multiplied: the precision of a
// product is part of the weight's storage, not a mode of the program. `HostDevice` says what loaded weights become; an
// engine that can keep short ones conforms to `ShortWeightTypes`.

/// The numbers that a linear layer's weight consists of.
public enum WeightFormat: String, CaseIterable, Sendable {
  /// Single precision; nothing is rounded.
  case float32
  /// Half the memory: factors are rounded to bf16 (8 significant bits, to nearest even), sums are float32.
  case bf16
  /// A quarter of the memory: integers from −127 to 127 with a scale for each output, times integers with a scale for each
  /// row of x; sums are exact. Weights of the role `outer` are bf16.
  case int8

  /// What a weight is kept as.
  public func format(of role: WeightRole) -> WeightFormat { self == .int8 && role == .outer ? .bf16 : self }
}

/// Where in a model a linear layer is, which determines how much it may be rounded.
public enum WeightRole: Sendable {
  /// In a block, between two norms: most of the arithmetic.
  case inner
  /// The first and the last layer, and those that modulate all others: never less than 8 significant bits.
  case outer
}

/// An engine that can keep weights of linear layers as `ShortWeight`s.
public protocol ShortWeightTypes: BackendTypes {
  /// What a weight that is loaded to a device is kept as.
  static func weightFormat(of role: WeightRole, on device: Device) -> WeightFormat
  /// Memory that holds a weight as it is. All operators read it as the numbers that it stands for; only `linear`
  /// multiplies by it without widening it first.
  static func makeStorage(_ weight: ShortWeight, on device: Device) throws -> Storage
}
