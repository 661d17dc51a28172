// AdamW and the norm of gradients. The formulas are documented at the kernels in Optimizer.cu and Loss.cu.

import Foundation
import TensorCore

extension CUDA: OptimizerOps {
  /// Σx² in double precision. Waits for the device; the result is NaN after a failure of the engine, which the next
  /// transfer throws.
  public static func sumOfSquares(_ x: Tensor<CUDA>) -> Double {
    let sum = DeviceArray<Double>(count: 1, on: x.device)
    launchSum(.sumOfSquares, x, nil, times: 1, result: .null, precise: sum.argument)
    return x.device.attempt { try sum.values()[0] } ?? .nan
  }

  /// Σx² of each tensor in double precision. Waits for the device once.
  ///
  /// - Throws: the error that made the engine fail.
  public static func sumsOfSquares(_ tensors: [Tensor<CUDA>]) throws -> [Double] {
    guard let engine = tensors.first?.device else { return [] }
    let sums = DeviceArray<Double>(count: tensors.count, on: engine)
    for (index, tensor) in tensors.enumerated() {
      launchSum(
        .sumOfSquares, tensor, nil, times: 1, result: .null, precise: sums.slice(index..<index + 1).argument)
    }
    return try sums.values()
  }

  /// One step of AdamW with decoupled decay.
  public static func adamW(
    _ parameter: inout Tensor<CUDA>, gradient: Tensor<CUDA>, firstMoment: inout Tensor<CUDA>,
    secondMoment: inout Tensor<CUDA>, _ settings: AdamWSettings
  ) {
    let shape = parameter.shape
    precondition(
      gradient.shape == shape && firstMoment.shape == shape && secondMoment.shape == shape && settings.step >= 1,
      "adamW: parameter \(shape), gradient \(gradient.shape), moments \(firstMoment.shape) and "
        + "\(secondMoment.shape), step \(settings.step)")
    makeOwned(&parameter)
    makeOwned(&firstMoment)
    makeOwned(&secondMoment)
    let step = Double(settings.step)
    let (first, second) = (settings.betas[0], settings.betas[1])
    // Combined in double precision and rounded once, so that 1 − β₂ does not lose digits.
    let numbers = [
      first, 1 - first, second, 1 - second, settings.learningRate / (1 - pow(first, step)),
      (1 - pow(second, step)).squareRoot(), 1 - settings.learningRate * settings.decay, settings.epsilon,
      settings.gradientFactor,
    ]
    gradient.device.launch(
      .adamW, elements: shape.count,
      [parameter.argument, firstMoment.argument, secondMoment.argument, gradient.argument]
        + numbers.map { .float(Float($0)) } + [.long(shape.count)])
  }

  /// Makes a tensor the sole owner of its memory: copies it if other references exist.
  private static func makeOwned(_ x: inout Tensor<CUDA>) {
    if isKnownUniquelyReferenced(&x.storage.buffer) { return }
    let shared = x.storage
    x = empty(x.shape, on: shared.engine)
    let buffer = x.storage.buffer
    shared.engine.attempt {
      try shared.engine.stream.copy(shared.count * 4, from: shared.buffer, at: shared.byteOffset, to: buffer)
    }
  }
}
