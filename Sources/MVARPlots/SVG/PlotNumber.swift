// Numbers as text, the same on every machine and in every locale.

import Foundation

/// Number formats of plots.
package enum PlotNumber {
  /// A coordinate with at most two decimals: `12`, `3.5`, `-0.25`.
  package static func coordinate(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    let (whole, rest) = abs(hundredths).quotientAndRemainder(dividingBy: 100)
    var text = "\(hundredths < 0 ? "-" : "")\(whole)"
    if rest > 0 {
      text += rest < 10 ? ".0\(rest)" : ".\(rest)"
      if text.hasSuffix("0") { text.removeLast() }
    }
    return text
  }

  /// A measured value with at least four significant digits: `16384`, `43.61`, `0.0025`, `3e-08`.
  package static func value(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return value == 0 ? "0" : "not a number" }
    let digits = Int(log10(abs(value)).rounded(.down))
    guard -5..<12 ~= digits else { return String(format: "%.4g", value) }
    var text = String(format: "%.*f", max(3 - digits, 0), value)
    if text.contains(".") {
      while text.hasSuffix("0") { text.removeLast() }
      if text.hasSuffix(".") { text.removeLast() }
    }
    return text
  }
}
