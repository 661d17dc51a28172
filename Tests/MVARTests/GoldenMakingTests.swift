// Golden files of models that are made here: the authors' inputs give the authors' values, other sizes are accepted by
// what judges such files, and the same request gives the same bytes.

import Foundation
import MVARCheckpoints
import MVARComparison
import MVARTestSupport
import MVARVerification
import TensorCore
import Testing

/// A maker in double precision that is fast enough for convolutions.
private let maker = GoldenMaker<CPU<Double>>(on: HostDevice(), producer: "test")
/// A maker with plain loops.
private let reference = GoldenMaker<Reference<Double>>(on: HostDevice(), producer: "test")

extension GoldenConfiguration {
  /// A configuration that differs from that of `tiny`.
  fileprivate init(_ change: (inout GoldenConfiguration) -> Void) {
    self.init()
    change(&self)
  }
}

@Suite("Making golden files of models")
struct GoldenMakingTests {
  // MARK: The authors' files

  /// The tolerance of a tensor of a kind, from the authors' side.
  private func bar(_ kind: String, _ name: String, _ golden: [Double], _ norm: Double?) -> Bar {
    if name.contains("grad.") {
      let largest = max(golden.map { abs($0) }.max() ?? 0, norm ?? 0)
      return largest < 1e-6
        ? Bar(absolute: 1e-5, "a true zero") : Bar(absolute: (kind == "vqvae" ? 5e-4 : 1e-4) * largest, "gradients")
    }
    if name.hasPrefix("param.") { return Bar(absolute: 1e-5, "parameters") }
    return Bar(absolute: 2e-4, relative: 1e-4, "values")
  }

  private func expectSame(_ name: String, by draft: GoldenDraft) throws {
    let golden = try Checkpoint.open(Fixtures.path("golden/\(name).safetensors"))
    let kind = try #require(golden.metadata["kind"])
    let batch = ["labels", "tokens", "mvar_input"]  // which train and var take from another file
    let ours = Dictionary(draft.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { $1 })
    let names = Set(golden.tensors.map(\.name))
    #expect(Set(ours.keys).subtracting(batch) == names.subtracting(batch))
    for (name, expected) in golden.tensors {
      guard let found = ours[name] else { continue }
      #expect(found.scalarType == expected.scalarType, "\(name)")
      let values = ComparedValues(try expected.doubles(), shape: expected.shape)
      let row = Comparator.values(
        name, found: ComparedValues(try found.doubles(), shape: found.shape), expected: values,
        bar: expected.scalarType == .int32 ? .exact("tokens") : bar(kind, name, values.numbers, nil))
      #expect(row.verdict == .passed, "\(name): \(row.absolute) at \(row.coordinates), \(row.share) of the bar")
    }
    #expect(golden.metadata["config"].map(parsed) == draft.metadata["config"].map(parsed))
    #expect(Set(golden.metadata.keys).isSubset(of: draft.metadata.keys))
    #expect(draft.margin.smallest > 2e-5)
  }

  private func parsed(_ json: String) -> NSDictionary? {
    try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? NSDictionary
  }

  @Test(
    "the authors' inputs give the authors' values",
    arguments: [
      "tiny.mvar", "tiny.sample", "tiny.filter", "tiny.train", "tiny.var", "tiny_no_l2norm.mvar",
      "tiny_no_l2norm.sample", "tiny_no_l2norm.train", "tiny_shared_aln.mvar", "tiny_shared_aln.sample",
      "tiny_shared_aln.train", "tiny_znorm.mvar", "tiny_znorm.sample", "tiny_znorm.train", "tiny_znorm.vqvae",
      "tiny.vqvae",
    ])
  func authors(_ name: String) throws {
    try expectSame(name, by: maker.make(like: Fixtures.path("golden/\(name).safetensors")))
  }

  @Test("plain loops make the same file as the engine")
  func plainLoops() throws {
    for name in ["tiny_znorm.mvar", "tiny.filter"] {
      try expectSame(name, by: reference.make(like: Fixtures.path("golden/\(name).safetensors")))
    }
  }

  // MARK: Other sizes

  static let small = GoldenConfiguration {
    ($0.patchNums, $0.depth, $0.embed, $0.heads, $0.kernel, $0.refine) = ([1, 2, 3, 4], 2, 32, 4, 3, 2)
    ($0.vocab, $0.classes, $0.seed) = (32, 5, 11)
  }

  /// Configurations that no file of the authors has.
  static let configurations: [(String, GoldenConfiguration)] = [
    ("small", small),
    ("even window, one Φ per scale", with { ($0.kernel, $0.shareQuantResi, $0.seed) = (2, 0, 12) }),
    ("no dense scale", with { ($0.patchNums, $0.refine, $0.kernel, $0.seed) = ([1, 2, 3], 0, 1, 13) }),
    ("no windowed scale, shared AdaLN", with { ($0.refine, $0.sharedAln, $0.seed) = (4, true, 14) }),
    ("no normalization, three Φ", with { ($0.l2, $0.heads, $0.shareQuantResi, $0.seed) = (false, 2, 3, 15) }),
    ("cosine codes", with { ($0.znorm, $0.z, $0.shareQuantResi, $0.seed) = (true, 4, 1, 16) }),
    ("many codes", with { ($0.vocab, $0.patchNums, $0.refine, $0.seed) = (1100, [1, 2, 3], 2, 17) }),
  ]

  private static func with(_ change: (inout GoldenConfiguration) -> Void) -> GoldenConfiguration {
    var copy = small
    change(&copy)
    return copy
  }

  private func judge<B: Backend>(_ path: String, on engine: B.Type, _ what: String) throws
  where B.Device == HostDevice {
    let report = try Verifier<B>(on: HostDevice()).verify(path)
    for row in report.rows where !row.passes && row.verdict != .notInFile { Issue.record("\(what), \(engine): \(row)") }
    #expect(report.passed >= 5, "\(what) has only \(report.passed) tensors")
  }

  @Test("files of other sizes pass on every engine", arguments: configurations.map(\.0))
  func otherSizes(_ name: String) throws {
    let configuration = try #require(Self.configurations.first { $0.0 == name }).1
    try withTemporaryFolder { folder in
      // Where every token sees only itself, there is no training to compare.
      let left: Set<GoldenModelKind> = name == "no dense scale" ? [.vqvae, .train] : [.vqvae]
      for kind in GoldenModelKind.allCases where !left.contains(kind) {
        let path = "\(folder)/any.\(kind.rawValue)"  // it needs no other file, and thus no name
        try maker.make(kind, configuration).write(to: path)
        try judge(path, on: CPU<Float>.self, "\(name), \(kind)")
        if kind != .sample, kind != .var { try judge(path, on: Reference<Float>.self, "\(name), \(kind)") }
      }
    }
  }

  @Test("tokenizers of other sizes pass", arguments: ["small", "cosine codes", "even window, one Φ per scale"])
  func otherTokenizers(_ name: String) throws {
    let configuration = try #require(Self.configurations.first { $0.0 == name }).1
    try withTemporaryFolder { folder in
      try maker.make(.vqvae, configuration, batch: 1).write(to: "\(folder)/any.vqvae.safetensors")
      try judge("\(folder)/any.vqvae.safetensors", on: CPU<Float>.self, name)
    }
  }

  @Test("the same request gives the same bytes")
  func sameBytes() throws {
    try withTemporaryFolder { folder in
      func bytes(_ configuration: GoldenConfiguration) throws -> Data {
        try maker.make(.mvar, configuration).write(to: "\(folder)/file")
        return try Data(contentsOf: URL(filePath: "\(folder)/file"))
      }
      let first = try bytes(Self.small)
      #expect(try bytes(Self.small) == first)
      #expect(try bytes(Self.with { $0.seed = 12 }) != first)
    }
  }

  @Test("a file says how it was made")
  func metadata() throws {
    let draft = try maker.make(.sample, Self.small)
    #expect(draft.metadata["format"] == "2" && draft.metadata["seed"] == "11")
    #expect(draft.metadata["producer"] == "test, CPU<Double>")
    #expect(draft.metadata["margin"] == "\(draft.margin.smallest)")
    #expect(draft.metadata["margin_at"]?.hasPrefix("cfg") == true)
  }

  @Test("tokens that rounding decides, and sizes of no model, are refused in one sentence")
  func refusals() throws {
    // Among so many codes, the sums of some of their probabilities come very near to 1 − p.
    do {
      _ = try maker.make(.filter, Self.with { ($0.vocab, $0.seed) = (200_000, 1) })
      Issue.record("a file was made whose tokens depend on rounding")
    } catch {
      #expect("\(error)".contains("use another seed, such as --seed 2"), "\(error)")
    }
    let alone = try #require(Self.configurations.first { $0.0 == "no dense scale" }).1
    #expect(throws: GoldenDraftError.self) { try maker.make(.train, alone) }
    for change: (inout GoldenConfiguration) -> Void in [
      { $0.heads = 5 }, { $0.kernel = 9 }, { $0.patchNums = [2, 3] }, { $0.ch = 33 }, { $0.depth = 0 },
    ] {
      #expect { try maker.make(.mvar, Self.with(change)) } throws: { "\(type(of: $0))" == "ConfigurationError" }
    }
  }
}
