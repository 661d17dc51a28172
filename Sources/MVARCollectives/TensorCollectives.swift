// What ranks do with tensors that are in an engine's own memory, without a copy to the host.

import TensorCore

/// Operations of all ranks on tensors of one engine, besides those on the host's memory.
public protocol TensorCollectives<Engine>: Collectives {
  /// The engine whose tensors they are.
  associatedtype Engine: BackendTypes

  /// The means of tensors over all ranks, Σx/N. All ranks get the same bits.
  ///
  /// It is work of the engine, in order with what was submitted before and after: called by the thread that uses the
  /// engine, and it may return before anything is computed.
  ///
  /// - Parameter tensors: of the same shapes on all ranks.
  /// - Throws: why they could not be added up; other ranks may be waiting then, and must be told.
  func means(of tensors: [Tensor<Engine>]) throws -> [Tensor<Engine>]

  /// Tensors of which each has the right elements on one rank, on all ranks; as work of the engine.
  ///
  /// - Parameter tensors: of the same shapes on all ranks, each with the rank whose elements count.
  /// - Throws: as `means(of:)`.
  func broadcast(_ tensors: [(tensor: Tensor<Engine>, root: Int)]) throws -> [Tensor<Engine>]
}
