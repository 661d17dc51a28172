// Cases through a kernel: a request file each, the kernel's answer, and for each operator a report with a row per tensor.
// A case that fails in whatever way never takes another one down.

import Foundation
import MVARComparison
import MVARFiles

/// A run of cases through a kernel.
package struct KernelRun {
  /// What is run; the cases of one operator become one report.
  package let cases: [GoldenCase]
  /// How answers are judged.
  package var judgment = KernelJudgment()
  /// Which rows are wanted, by name. A case without such a row is not run.
  package var isWanted: (String) -> Bool = { _ in true }

  /// A run of cases.
  package init(_ cases: [GoldenCase]) { self.cases = cases }

  /// Whether there is anything to run.
  package var hasWork: Bool { !wanted.isEmpty }

  private var wanted: [GoldenCase] { cases.filter { $0.rowNames.contains(where: isWanted) } }

  /// Runs the cases one after the other.
  ///
  /// - Parameters:
  ///   - progress: called with the name of each case before it is run.
  ///   - show: called with the report of each operator, the operator being its subject.
  /// - Throws: `KernelRunError` when the kernel cannot be started or the run was interrupted; `FileError` when the
  ///   temporary files cannot be written; what `progress` and `show` throw.
  package func run(
    _ kernel: any Kernel, progress: (String) throws -> Void = { _ in }, show: (ComparisonReport) throws -> Void
  ) throws {
    var folder = try PrivateFolder()
    defer { kernel.forget() }
    for group in wanted.byOperator {
      var rows: [[Comparison]] = []
      for golden in group {
        try progress(golden.name)
        rows.append(try self.rows(golden, kernel, in: &folder))
      }
      try show(
        ComparisonReport(
          subject: group[0].specification.name, kind: "kernel, \(group[0].precision.rawValue)",
          rows: Self.merged(rows, group)))
    }
  }

  /// The rows of one case.
  private func rows(_ golden: GoldenCase, _ kernel: any Kernel, in folder: inout PrivateFolder) throws -> [Comparison] {
    // A kernel may have removed it.
    if !folder.exists { folder = try PrivateFolder() }
    let (request, answer) = ("\(folder.path)/in.safetensors", folder.newName("out.safetensors"))
    defer { try? FileManager.default.removeItem(atPath: answer) }
    try golden.writeRequest(to: request)
    switch try kernel.run(request: request, answer: answer) {
    case .notSupported(let why): return [.notSupported(golden.name, why)]
    case .failed(let cause):
      kernel.forget()
      return [.failed(golden.name, cause)]
    case .answered:
      let (rows, isTrusted) = judgment.rows(golden, answer: answer)
      if !isTrusted { kernel.forget() }
      // What is wrong as a whole is always told.
      let parts = Set(golden.rowNames)
      return rows.filter { isWanted($0.name) || !parts.contains($0.name) }
    }
  }

  /// The rows of all cases of an operator; a single one if not a single case is supported.
  private static func merged(_ rows: [[Comparison]], _ cases: [GoldenCase]) -> [Comparison] {
    let all = rows.flatMap { $0 }
    guard all.count > 1, all.allSatisfy({ $0.verdict == .notSupported }) else { return all }
    let why = all[0].cause.map { ": \($0)" } ?? ""
    return [.notSupported(cases[0].specification.name, "\(cases.count) cases\(why)")]
  }
}

extension [GoldenCase] {
  /// The cases of each operator together, in the order of their first ones.
  fileprivate var byOperator: [[GoldenCase]] {
    let groups = Dictionary(grouping: self, by: \.specification.name)
    var isTaken: Set<String> = []
    return compactMap { isTaken.insert($0.specification.name).inserted ? groups[$0.specification.name] : nil }
  }
}
