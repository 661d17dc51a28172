// Faults planted in golden files of every kind: each must be found, with the right tensor named and no other; and right
// answers that look different, which must pass.
//
// What is wrong in a golden file looks to the judge like an engine that is wrong. Faults in different tensors share a
// run: the rows that do not pass must be exactly those of all faults.

import Foundation
import MVARComparison
import MVARTestSupport
import MVARVerification
import TensorCore
import Testing

/// A change of a golden file, and the rows that must not pass because of it.
struct Mutation: Sendable {
  /// The file in `Fixtures/golden`.
  let file: String
  /// What is changed.
  let fault: String
  /// The rows that fail.
  var failing: [String]
  /// The rows that cannot be judged.
  var notJudged: [String] = []
  /// The tensors and metadata that are changed.
  let touched: [String]
  let change: @Sendable (inout GoldenCopy) throws -> Void

  /// A fault in the values of one tensor, whose row fails.
  init(
    _ file: String, _ tensor: String, _ fault: String, failing: [String]? = nil,
    values change: @escaping @Sendable (inout [Double], [Int]) -> Void
  ) {
    self.init(file, [tensor], fault, failing: failing ?? [tensor]) { try $0.change(tensor, change) }
  }

  /// Any other change.
  init(
    _ file: String, _ touched: [String], _ fault: String, failing: [String] = [], notJudged: [String] = [],
    change: @escaping @Sendable (inout GoldenCopy) throws -> Void
  ) {
    (self.file, self.touched, self.fault) = (file, touched, fault)
    (self.failing, self.notJudged, self.change) = (failing, notJudged, change)
  }
}

/// Changes of one file in different tensors.
struct MutationGroup: Sendable, CustomTestStringConvertible {
  let file: String
  private(set) var mutations: [Mutation]

  var testDescription: String { "\(file): \(mutations.map(\.fault).joined(separator: ", "))" }

  /// The changes in as few runs as possible.
  static func groups(_ mutations: [Mutation]) -> [MutationGroup] {
    var groups: [MutationGroup] = []
    for mutation in mutations {
      let place = groups.firstIndex { group in
        group.file == mutation.file
          && group.mutations.allSatisfy { Set($0.touched).isDisjoint(with: mutation.touched) }
      }
      if let place {
        groups[place].mutations.append(mutation)
      } else {
        groups.append(MutationGroup(file: mutation.file, mutations: [mutation]))
      }
    }
    return groups
  }

  /// The report on the changed file.
  func report() throws -> ComparisonReport {
    try withTemporaryFolder { folder in
      // Some kinds read the tokens in the `mvar` file of the same name.
      let sibling = file.replacing(#/\.(train|var)\./#, with: ".mvar.")
      if sibling != file {
        try FileManager.default.copyItem(
          atPath: Fixtures.path("golden/\(sibling)"), toPath: "\(folder)/\(sibling)")
      }
      var copy = try GoldenCopy(file)
      for mutation in mutations { try mutation.change(&copy) }
      try copy.write(to: "\(folder)/\(file)")
      return try Verifier<CPU<Float>>(on: HostDevice()).verify("\(folder)/\(file)")
    }
  }
}

@Suite struct MutationTests {
  @Test func thereAreEnough() {
    #expect(Faults.all.count >= 60 && RightAnswers.all.count >= 40)
    let kinds = Set(Faults.all.map { $0.file.split(separator: ".").dropLast().last.map(String.init) ?? "" })
    #expect(kinds.isSuperset(of: ["ops", "mvar", "vqvae", "sample", "filter", "train", "var"]))
    #expect(Faults.measures.count >= 10)
  }

  @Test(arguments: MutationGroup.groups(Faults.all))
  func faultsAreFound(_ group: MutationGroup) throws {
    let rows = try group.report().rows
    func names(_ verdict: Comparison.Verdict) -> [String] { rows.filter { $0.verdict == verdict }.map(\.name).sorted() }
    #expect(names(.failed) == group.mutations.flatMap(\.failing).sorted())
    #expect(names(.notJudged) == group.mutations.flatMap(\.notJudged).sorted())
    for row in rows where row.verdict == .failed && row.cause == nil {
      #expect(row.share > 1 && row.exceeding > 0 && !(row.bar?.reason ?? "").isEmpty, "\(row)")
    }
    try MutationTable.add(group, rows)
  }

  @Test(arguments: MutationGroup.groups(RightAnswers.all))
  func rightAnswersPass(_ group: MutationGroup) throws {
    let rows = try group.report().rows
    for row in rows where !row.passes && row.verdict != .notInFile { Issue.record("\(row)") }
    #expect(rows.count { $0.passes } >= 1)
    try MutationTable.add(group, rows)
  }

  /// Another token than the golden one is right if their golden logits are equal within rounding; the row says so.
  @Test func tokensAtAMargin() throws {
    let (file, scale) = ("tiny_znorm.sample.safetensors", "cfg1.0.scale3")
    for (margin, isExcused) in [(0.0, true), (3e-5, true), (6e-5, false)] {
      let group = MutationGroup(
        file: file,
        mutations: [
          Mutation(file, ["\(scale).tokens"], "a token at a margin") { copy in
            let width = 64
            let place = try copy.values("\(scale).tokens").count - 1
            let token = Int(try copy.values("\(scale).tokens")[place])
            let other = token == 0 ? 1 : 0
            let logit = try copy.values("\(scale).logits")[place * width + token]
            try copy.change("\(scale).tokens") { values, _ in values[place] = Double(other) }
            try copy.change("\(scale).logits") { values, _ in values[place * width + other] = logit + margin }
          }
        ])
      let rows = try group.report().rows
      let row = try #require(rows.first { $0.name == "\(scale).tokens" })
      #expect(row.passes == isExcused && row.coordinates == [1, 48], "\(row)")
      #expect(row.remarks.first?.hasPrefix("difference of the two logits ") ?? false, "\(row)")
      // The logits themselves are another matter.
      #expect(rows.filter { $0.verdict == .failed }.map(\.name) == ["\(scale).logits"] + (isExcused ? [] : [row.name]))
    }
  }

  /// A type that no reader of the format knows: nothing of the file can be judged, and the sentence names the type.
  @Test func unusableType() throws {
    try withTemporaryFolder { folder in
      var bytes = [UInt8](try Data(contentsOf: Fixtures.url("golden/verify/good.safetensors")))
      let place = try #require(Data(bytes).range(of: Data("\"F32\"".utf8)))
      bytes.replaceSubrange(place, with: Array("\"C64\"".utf8))
      try Data(bytes).write(to: URL(filePath: "\(folder)/bad.safetensors"))
      let error = #expect(throws: (any Error).self) {
        try Verifier<CPU<Float>>(on: HostDevice()).verify("\(folder)/bad.safetensors")
      }
      #expect("\(try #require(error))".contains("C64"))
    }
  }
}

/// A table of all changes and of what was printed, in the folder that the environment names.
enum MutationTable {
  static func add(_ group: MutationGroup, _ rows: [Comparison]) throws {
    guard let folder = ProcessInfo.processInfo.environment["MVAR_MUTATION_TABLES"] else { return }
    let lines = group.mutations.flatMap { mutation in
      let names = mutation.failing + mutation.notJudged
      let printed = rows.filter { names.contains($0.name) && !$0.passes }.map(\.description)
      return (printed.isEmpty ? ["passes"] : printed).map {
        "| \(mutation.fault) | `\(group.file)` | \($0.replacing("|", with: "\\|")) |"
      }
    }
    let path = "\(folder)/\(group.file)-\(group.mutations[0].failing.isEmpty ? "right" : "fault")-\(UUID()).md"
    try lines.joined(separator: "\n").appending("\n").write(toFile: path, atomically: true, encoding: .utf8)
  }
}
