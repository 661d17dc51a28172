// Signals as text for sentences.

import Foundation

/// Names of signals.
package enum Signal {
  /// `signal 9 (Killed)`
  package static func name(_ number: Int32) -> String {
    guard let text = strsignal(number) else { return "signal \(number)" }
    return "signal \(number) (\(String(cString: text)))"
  }
}
