// How learning rate and weight decay change over a training: a linear warm-up, then one of the published shapes.
//
//     it < warmup:  peak·(w₀ + (1 − w₀)·it/warmup)
//     after:        peak·shape(u),  u = (it − warmup)/(total − 1 − warmup)
//
// `it` counts micro-batches: with gradient accumulation it advances with every one of them.

import Foundation
import MVAR

/// The learning rate at every iteration.
public struct LearningRateSchedule: Hashable, Sendable {
  /// The shape after the warm-up, with u rising from 0 to 1 and `end` (wpe) the last factor.
  public enum Decay: Hashable, Sendable, CustomStringConvertible {
    /// end + (1 − end)·(½ + ½cos πu)
    case cosine
    /// 1 while u < flat, then a straight line to `end`: `lin` (0.15), `lin0` (0.05), `lin00` (0).
    case linear(flat: Double)
    /// A straight line to the middle m = (1 + end + (1 − end)(1 − T))/2 while u < T, then another to `end`: `lin0.3`.
    case bent(at: Double)
    /// 1 while u < 0.15, then exp(((u − 0.15)/0.85)·ln end)
    case exponential

    /// A shape by its name in the authors' scripts: cos, lin, lin0, lin00, lin0.3 (any number between 0 and 1), exp.
    ///
    /// - Throws: `ConfigurationError` for another name.
    public init(_ name: String) throws {
      switch name {
      case "cos": self = .cosine
      case "exp": self = .exponential
      case "lin": self = .linear(flat: 0.15)
      case "lin0": self = .linear(flat: 0.05)
      case "lin00": self = .linear(flat: 0)
      default:
        guard name.hasPrefix("lin"), let bend = Double(name.dropFirst(3)), bend > 0, bend < 1 else {
          throw ConfigurationError(
            "\"\(name.prefix(40))\" is no learning-rate schedule; use cos, lin, lin0, lin00, exp, or lin0.3 and the like"
          )
        }
        self = .bent(at: bend)
      }
    }

    /// The name in the authors' scripts.
    public var description: String {
      switch self {
      case .cosine: "cos"
      case .exponential: "exp"
      case .linear(let flat): flat == 0.15 ? "lin" : flat == 0.05 ? "lin0" : "lin00"
      case .bent(let bend): "lin\(bend)"
      }
    }

    /// The factor at progress u.
    func factor(_ u: Double, end: Double) -> Double {
      switch self {
      case .cosine:
        return end + (1 - end) * (0.5 + 0.5 * cos(.pi * u))
      case .linear(let flat):
        return u < flat ? 1 : end + (1 - end) * (1 - u) / (1 - flat)
      case .bent(let bend):
        let middle = (1 + end + (1 - end) * (1 - bend)) / 2
        return u < bend ? 1 + (middle - 1) * u / bend : end + (middle - end) * (1 - u) / (1 - bend)
      case .exponential:
        return u < 0.15 ? 1 : exp((u - 0.15) / 0.85 * log(end))
      }
    }
  }

  /// The highest rate; published: accumulation · base rate · global batch / 256.
  public var peak: Double
  /// The shape after the warm-up.
  public var decay: Decay
  /// How many iterations the warm-up takes.
  public var warmup: Int
  /// How many iterations there are.
  public var total: Int
  /// w₀, the first factor of the warm-up.
  public var start: Double
  /// wpe, the last factor.
  public var end: Double

  /// A schedule.
  public init(
    peak: Double, decay: Decay = .cosine, warmup: Int = 0, total: Int, start: Double = 0.005, end: Double = 0.01
  ) {
    self.peak = peak
    self.decay = decay
    self.warmup = warmup
    self.total = total
    self.start = start
    self.end = end
  }

  /// The rate of an iteration, counted from 0.
  public func rate(at iteration: Int) -> Double {
    if iteration < warmup { return peak * (start + (1 - start) * Double(iteration) / Double(warmup)) }
    let length = total - 1 - warmup
    let u = length > 0 ? min(Double(iteration - warmup) / Double(length), 1) : 0
    return peak * decay.factor(u, end: end)
  }
}

/// The weight decay at every iteration: end + (start − end)(½ + ½cos(π·it/(total − 1))).
public struct WeightDecaySchedule: Hashable, Sendable {
  /// The decay at the first iteration.
  public var start: Double
  /// The decay at the last iteration.
  public var end: Double
  /// How many iterations there are.
  public var total: Int

  /// A schedule; constant unless `end` is given.
  public init(_ start: Double, end: Double? = nil, total: Int) {
    self.start = start
    self.end = end ?? start
    self.total = total
  }

  /// The decay of an iteration, counted from 0.
  public func decay(at iteration: Int) -> Double {
    let u = total > 1 ? Double(iteration) / Double(total - 1) : 0
    return end + (start - end) * (0.5 + 0.5 * cos(.pi * u))
  }
}
