// How many processors are available to this process. A container sees every processor of its machine, though its share
// of their time may be limited; threads beyond that share only compete with each other.

import Foundation

/// This process's share of the machine's processors.
package enum ProcessorShare {
  /// As many processors as this process may run on, or fewer where a Linux control group limits their time; at least 1.
  static var processors: Int {
    let visible = ProcessInfo.processInfo.activeProcessorCount
    let membership = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
    let limit = limit(membership: membership) { try? String(contentsOfFile: "/sys/fs/cgroup" + $0, encoding: .utf8) }
    return max(1, min(visible, limit ?? visible))
  }

  /// The processors that a control group and its parents allow, rounded up; nil for no limit.
  ///
  /// Version 2 of control groups: a line `0::/group` names the group, and its file `cpu.max` has the microseconds of
  /// processor time it gets per period (or `max` for all) and the length of the period.
  ///
  /// - Parameters:
  ///   - membership: the lines that name the process's groups.
  ///   - read: reads a file below the folder of all groups; nil if there is none.
  package static func limit(membership: String, read: (_ path: String) -> String?) -> Int? {
    guard let line = membership.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return nil }
    let group = line.dropFirst("0::/".count).split(separator: "/")
    var limit: Int?
    for depth in 0...group.count {
      let path = group.prefix(depth).map { "/" + $0 }.joined() + "/cpu.max"
      let words = (read(path) ?? "").split(whereSeparator: \.isWhitespace)
      guard words.count == 2, let time = Int(words[0]), let period = Int(words[1]), time > 0, period > 0 else {
        continue
      }
      let processors = (time - 1) / period + 1
      limit = min(limit ?? processors, processors)
    }
    return limit
  }
}
