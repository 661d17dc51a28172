// Signals as text for sentences.

import Foundation

/// Names of signals.
package enum Signal {
  /// `signal 11 (Segmentation fault)`; what usually sends a signal that no program sends itself is added.
  package static func name(_ number: Int32) -> String {
    guard let text = strsignal(number) else { return "signal \(number)" }
    let cause = number == SIGKILL ? ", perhaps for want of memory" : ""
    return "signal \(number) (\(String(cString: text))\(cause))"
  }
}
