// The same memory as another engine's tensor. Engines with the same number, memory and device types, such as a
// forwarding engine and its base, can use each other's tensors; nothing is copied.

extension Tensor {
  /// The same elements in the same memory, as a tensor of another engine with the same types.
  public consuming func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> Tensor<Other>
  where Other.Storage == B.Storage {
    Tensor<Other>(shape: shape, storage: storage)
  }

  /// Calls `body` with the same elements as a tensor of another engine, which may change them in place.
  mutating func withRewrapped<Other: BackendTypes>(_ body: (inout Tensor<Other>) -> Void)
  where Other.Storage == B.Storage, Other.Device == B.Device, Other.Scalar == B.Scalar {
    var other = Tensor<Other>(shape: shape, storage: storage)
    // Meanwhile this tensor holds other memory: memory being changed must have a single owner.
    storage = B.makeStorage(repeating: 0, count: 0, on: other.device)
    body(&other)
    storage = other.storage
  }
}

extension Indices {
  /// The same indices in the same memory, as indices of another engine with the same types.
  public func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> Indices<Other>
  where Other.IndexStorage == B.IndexStorage {
    Indices<Other>(shape: shape, storage: storage)
  }
}

extension Heads {
  /// The same three tensors for another engine with the same types.
  public func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> Heads<Other>
  where Other.Storage == B.Storage {
    Heads<Other>(queries: queries.rewrapped(), keys: keys.rewrapped(), values: values.rewrapped())
  }
}

extension AttentionSaved {
  /// The same tensors for another engine with the same types.
  public func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> AttentionSaved<Other>
  where Other.Storage == B.Storage {
    AttentionSaved<Other>(heads: heads.rewrapped(), output: output.rewrapped(), logSumExp: logSumExp.rewrapped())
  }
}

extension SplitHeadsGradients {
  /// The same tensors for another engine with the same types.
  public func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> SplitHeadsGradients<Other>
  where Other.Storage == B.Storage {
    SplitHeadsGradients<Other>(qkv: qkv.rewrapped(), logitScale: logitScale?.rewrapped())
  }
}

extension LayerNormSaved {
  /// The same tensors for another engine with the same types.
  public func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> LayerNormSaved<Other>
  where Other.Storage == B.Storage {
    LayerNormSaved<Other>(
      x: x.rewrapped(), mean: mean.rewrapped(), reciprocalDeviation: reciprocalDeviation.rewrapped())
  }
}

extension AdaptiveLayerNormGradients {
  /// The same tensors for another engine with the same types.
  public func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> AdaptiveLayerNormGradients<Other>
  where Other.Storage == B.Storage {
    AdaptiveLayerNormGradients<Other>(x: x.rewrapped(), scale: scale.rewrapped(), shift: shift.rewrapped())
  }
}

extension GroupNormSaved {
  /// The same tensors for another engine with the same types.
  public func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> GroupNormSaved<Other>
  where Other.Storage == B.Storage {
    GroupNormSaved<Other>(
      x: x.rewrapped(), mean: mean.rewrapped(), reciprocalDeviation: reciprocalDeviation.rewrapped(),
      activation: activation)
  }
}

extension GroupNormGradients {
  /// The same tensors for another engine with the same types.
  public func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> GroupNormGradients<Other>
  where Other.Storage == B.Storage {
    GroupNormGradients<Other>(x: x.rewrapped(), weight: weight.rewrapped(), bias: bias.rewrapped())
  }
}

extension LinearGradients {
  /// The same tensors for another engine with the same types.
  public func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> LinearGradients<Other>
  where Other.Storage == B.Storage {
    LinearGradients<Other>(x: x.rewrapped(), weight: weight.rewrapped(), bias: bias?.rewrapped())
  }
}

extension GatedResidualGradients {
  /// The same tensors for another engine with the same types.
  public func rewrapped<Other: BackendTypes>(for engine: Other.Type = Other.self) -> GatedResidualGradients<Other>
  where Other.Storage == B.Storage {
    GatedResidualGradients<Other>(branch: branch.rewrapped(), gain: gain.rewrapped())
  }
}
