// The speed of a run and its remaining time, from a monotonic clock.
//
// Seconds per step are an exponential average over about the last twenty steps (a plain mean until there are that
// many). The first step is left out: it fills caches and compiles kernels. Time spent between steps counts as part of
// them.

import Foundation

/// The speed of a run of steps.
public struct Pace: Sendable, CustomStringConvertible {
  /// Steps of the whole run.
  public let total: Int

  /// Steps that are done.
  public private(set) var done: Int

  /// The average time of a step; nil until two steps of this process are done.
  public private(set) var secondsPerStep: Double?

  private var last: ContinuousClock.Instant
  private var isWarm = false
  /// Steps since `last`.
  private var pending = 0.0
  private var measured = 0.0

  /// Starts the clock.
  ///
  /// - Parameters:
  ///   - total: steps of the whole run.
  ///   - done: steps that were done before, by a run that is resumed.
  ///   - now: the current time.
  public init(total: Int, done: Int = 0, now: ContinuousClock.Instant = .now) {
    self.total = total
    self.done = done
    last = now
  }

  /// Records that steps were completed.
  ///
  /// - Parameters:
  ///   - step: the number of steps done now, counted from the run's beginning.
  ///   - now: the current time.
  public mutating func advance(to step: Int, now: ContinuousClock.Instant = .now) {
    guard step > done else { return }
    pending += Double(step - done)
    done = step
    guard isWarm else {
      (isWarm, last, pending) = (true, now, 0)
      return
    }
    // What several processes have done together is recorded at once: only the next time says how long it took.
    guard now - last >= .milliseconds(5) else { return }
    let steps = pending
    let seconds = (now - last) / .seconds(1) / steps
    (last, pending) = (now, 0)
    measured += steps
    let share = max(1 - pow(0.95, steps), steps / measured)
    secondsPerStep = (secondsPerStep ?? seconds) * (1 - share) + seconds * share
  }

  /// The time until the last step; nil as long as the pace is unknown.
  public var secondsLeft: Double? { secondsPerStep.map { $0 * Double(max(total - done, 0)) } }

  /// For example `12.3 steps/min, 41 min left`; `pace not known yet` during the first two steps.
  public var description: String { text(of: "steps") ?? "pace not known yet" }

  /// The pace of what are called `units` instead of steps: `12.3 images/s, 41 min left`; nil as long as it is unknown.
  public func text(of units: String) -> String? {
    guard let secondsPerStep, let secondsLeft, secondsPerStep > 0 else { return nil }
    let perMinute = 60 / secondsPerStep
    let speed =
      perMinute >= 100
      ? String(format: "%.1f \(units)/s", perMinute / 60)
      : perMinute >= 1
        ? String(format: "%.1f \(units)/min", perMinute) : String(format: "%.1f \(units)/h", perMinute * 60)
    return "\(speed), \(Pace.text(seconds: secondsLeft)) left"
  }

  /// A duration for people: `59 s`, `12 min`, `3 h 20 min`, `2 d 5 h`.
  public static func text(seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "a very long time" }
    let whole = Int(max(seconds, 0).rounded())
    if whole < 60 { return "\(whole) s" }
    let minutes = (whole + 30) / 60
    if minutes < 60 { return "\(minutes) min" }
    if minutes < 24 * 60 { return "\(minutes / 60) h\(minutes % 60 == 0 ? "" : " \(minutes % 60) min")" }
    let hours = (minutes + 30) / 60
    return "\(hours / 24) d\(hours % 24 == 0 ? "" : " \(hours % 24) h")"
  }
}
