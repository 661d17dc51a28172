// `mvar explain`: the run of the page is that of `mvar sample` or `mvar encode`, the page has everything in its place and stays
// below its limit, no name breaks it, and bad input is one sentence. What its script does with the data is checked in a
// browser (Scripts/check-pages).

import Foundation
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import Testing

@Suite("mvar explain") struct ExplainCommandTests {
  private static let photo = Fixtures.path("photos/chelsea.png")
  private static let tiny = ["--model", Tool.model, "--tokenizer", Tool.tokenizer] + Tool.hints

  @discardableResult
  private func succeed(_ arguments: [String], in folder: String) throws -> Tool.Result {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 0, "\(arguments): \(result.errors)")
    return result
  }

  /// A page about the shipped model.
  private func page(_ arguments: [String], in folder: String) throws -> ExplainedPage {
    let result = try succeed(["explain", "-o", "page.html"] + arguments, in: folder)
    #expect(result.output == "page.html\n")
    return try ExplainedPage("\(folder)/page.html")
  }

  /// A page about the tiny models, which have 130 tokens of 64 codes.
  private func tinyPage(_ arguments: [String], in folder: String) throws -> ExplainedPage {
    try page(Self.tiny + arguments, in: folder)
  }

  private func tokens(_ arguments: [String], in folder: String) throws -> [Int] {
    try succeed(["sample", "--tokens", "tokens.npz"] + arguments, in: folder)
    return try #require(Checkpoint.open("\(folder)/tokens.npz")["tokens"]).integers()
  }

  // MARK: The run

  @Test("the shipped model's run is that of mvar sample", arguments: [[], ["--cfg", "1", "--top-k", "0"]])
  func sampled(settings: [String]) throws {
    try withTemporaryFolder { folder in
      let request = ["--class", "flag", "--seed", "3"] + settings
      let page = try page(request, in: folder)
      #expect(try page.words("tokens") == tokens(request + ["-o", "flag.png"], in: folder))
      // The pictures are its images after each scale.
      let pictures = try page.pictures()
      let last = try PixelImage.load("\(folder)/flag.png")
      #expect(pictures.width == 640 && pictures.height == 64)
      for row in 0..<64 {
        for column in 0..<64 where pictures[row: row, column: 576 + column] != last[row: row, column: column] {
          Issue.record("pixel \(row), \(column)")
          return
        }
      }
      #expect(page["run"]["className"] as? String == "flag" && page["run"]["seed"] as? String == "3")
      #expect(page["run"]["canBeGuided"] as? Bool == true && page["run"]["isPhoto"] as? Bool == false)
    }
  }

  @Test("a photograph's tokens are those of mvar encode, and the model is given them", arguments: [nil, "animal"])
  func photograph(label: String?) throws {
    try withTemporaryFolder { folder in
      let page = try page([Self.photo] + (label.map { ["--as", $0] } ?? []), in: folder)
      try succeed(["encode", Self.photo, "-o", "photo.npz"], in: folder)
      let tokens = try #require(Checkpoint.open("\(folder)/photo.npz")["moments_gt"]).integers()
      #expect(try page.words("tokens") == tokens)
      let run = page["run"]
      #expect(run["isPhoto"] as? Bool == true && run["photo"] as? String == "chelsea.png" && run["seed"] == nil)
      #expect(run["className"] as? String == label && run["canBeGuided"] as? Bool == (label != nil))
      #expect(page.fieldNames.contains("difference") == (label != nil) && !page.fieldNames.contains("draws"))
      #expect((page.json["photo"] as? String)?.hasPrefix("data:image/png;base64,") == true)
      // By rank, the photograph's own code: of 512, and where it is the likeliest, nothing lies above it.
      let (ranks, below) = (try page.words("ranks"), try page.words("below"))
      #expect(ranks.count == 680 && ranks.allSatisfy((1...512).contains))
      for (token, code) in tokens.enumerated() where ranks[token] == 1 { #expect(below[512 * token + code] == 0) }
    }
  }

  @Test("without a class there is nothing to guide")
  func unguided() throws {
    try withTemporaryFolder { folder in
      let page = try tinyPage(["--class", "null", "--seed", "7"], in: folder)
      #expect(page["run"]["canBeGuided"] as? Bool == false && page["run"]["className"] == nil)
      #expect(!page.fieldNames.contains("difference"))
      #expect(try page.words("tokens") == tokens(Self.tiny + ["--class", "null", "--seed", "7"], in: folder))
    }
  }

  // MARK: The page

  @Test("every array has its size, and the same request gives the same bytes")
  func structure() throws {
    try withTemporaryFolder { folder in
      let page = try page(["--class", "plant", "--seed", "10"], in: folder)
      #expect(page.html.utf8.count <= 5_000_000)
      #expect(page.sides == [1, 2, 3, 4, 5, 6, 8, 10, 13, 16] && page.length == 680)
      #expect(page["stored"]["candidates"] as? Int == 512 && page["stored"]["isPart"] as? Bool == false)
      #expect(page["stored"]["blocks"] as? [Int] == Array(0..<6) && page["stored"]["heads"] as? [Int] == Array(0..<6))
      #expect(try page.words("below").count == 680 * 512 && page.words("difference").count == 680 * 512)
      #expect(try page.words("draws").count == 2 * 680 && page.words("ranks").count == 680)
      // 37,196 pairs of query and key, as `mvar mask` counts them, in 36 heads.
      let attention = try page.bytes("attention")
      #expect(attention.count == 36 * 37_196 && attention.max() == 15)
      #expect(try page.bytes("sums").count == 10 * 256 * 3 && page.bytes("inputs").count == 679 * 3)
      #expect(try page.bytes("codes").count == 512 * 3)
      let names = ["tokens", "below", "difference", "ranks", "attention", "sums", "inputs", "codes", "draws"]
      #expect(page.fieldNames == Set(names))
      #expect(page.settings.count == 4 && page.settings.allSatisfy { ($0["ids"] as? [[Int]])?.isEmpty == false })
      // One script of data and one of code, and nothing from elsewhere.
      #expect(page.html.components(separatedBy: "</script>").count == 3)
      #expect(!page.html.contains("http://") && !page.html.contains("https://"))
      let again = try self.page(["--class", "plant", "--seed", "10"], in: folder)
      #expect(again.html == page.html)
    }
  }

  @Test("a smaller limit keeps the likeliest candidates and some heads", arguments: [1.0, 0.6])
  func limit(megabytes: Double) throws {
    try withTemporaryFolder { folder in
      let page = try page(["--class", "flag", "--seed", "3", "--limit", "\(megabytes)"], in: folder)
      #expect(page.html.utf8.count <= Int(megabytes * 1e6) && page.html.utf8.count > Int(megabytes * 6e5))
      let count = try #require(page["stored"]["candidates"] as? Int)
      #expect(page["stored"]["isPart"] as? Bool == true && count >= 5 && count < 512)
      let blocks = try #require(page["stored"]["blocks"] as? [Int])
      let heads = try #require(page["stored"]["heads"] as? [Int])
      #expect(blocks.count * heads.count < 36 && blocks == blocks.sorted() && Set(heads).isSubset(of: 0..<6))
      #expect(try page.bytes("attention").count == blocks.count * heads.count * 37_196)
      let (ids, below, tokens) = (try page.words("ids"), try page.words("below"), try page.words("tokens"))
      #expect(ids.count == 680 * count && below.count == 680 * count)
      for token in 0..<680 {
        let own = Array(ids[token * count..<(token + 1) * count])
        #expect(Set(own).count == count && own.contains(tokens[token]))
        #expect(below[token * count..<(token + 1) * count].min() == 0)
      }
      let grid = try #require(page["stored"]["grid"] as? [Double])
      #expect(grid == grid.sorted() && grid.contains(3))
      #expect(try page.words("rest").count == 680 * (grid.count + 2))
      // With all of it the page is larger.
      #expect(try self.page(["--class", "flag", "--seed", "3"], in: folder).html.utf8.count > Int(megabytes * 1e6))
    }
  }

  @Test("no name breaks the page")
  func names() throws {
    try withTemporaryFolder { folder in
      let names = ["</script><script>alert(1)</script>", "\"quoted\" & 'so' <!-- <b>", "Blüte 花 🌸"]
      try names.joined(separator: "\n").write(toFile: "\(folder)/names.txt", atomically: true, encoding: .utf8)
      for (label, name) in names.enumerated() {
        let page = try tinyPage(["--class", "\(label)", "--class-names", "names.txt"], in: folder)
        #expect(page["run"]["className"] as? String == name)
        #expect(page.html.components(separatedBy: "</script").count == 3, "\(name)")
        #expect(!page.html.contains("<!--"))
      }
      let file = "a<script>\"'<b>ü\u{7}.png"
      try FileManager.default.copyItem(atPath: Self.photo, toPath: "\(folder)/\(file)")
      let page = try tinyPage([file], in: folder)
      #expect(page["run"]["photo"] as? String == file.replacing("\u{7}", with: "\\u{7}"))
      #expect(page.html.components(separatedBy: "</script").count == 3)
    }
  }

  @Test("dense attention at every scale is shown as well")
  func scaleMarkov() throws {
    try withTemporaryFolder { folder in
      let page = try tinyPage(["--class", "1", "--attention", "scale-markov"], in: folder)
      #expect(page["model"]["refine"] as? Int == 6)
      let pairs = [1, 2, 3, 4, 6, 8].reduce(0) { $0 + $1 * $1 * $1 * $1 }
      let heads = try #require(page["model"]["heads"] as? Int)
      #expect(try page.bytes("attention").count == pairs * heads)
    }
  }

  // MARK: Bad input

  static let mistakes: [(arguments: [String], code: Int32, sentence: String)] = [
    (["--class", "dog", "-o", "a.html"], 1, "--class dog: the model has no class of this name; it has face, "),
    (["--class", "0-3", "-o", "a.html"], 1, "--class 0-3: is 4 classes, and one image is explained"),
    ([photo, "--as", "dog", "-o", "a.html"], 1, "--as dog: the model has no class of this name"),
    (
      [photo, "--class", "face", "-o", "a.html"], 64,
      "--class is for a sampled image, and a photograph is named; use --as for its class"
    ),
    ([photo, "--seed", "1", "-o", "a.html"], 64, "--seed is for a sampled image, and a photograph is named"),
    (["--as", "face", "-o", "a.html"], 64, "--as is for a photograph, and none is named; use --class"),
    (["absent.png", "-o", "a.html"], 1, "absent.png"),
    ([Fixtures.path("emoji/index.json"), "-o", "a.html"], 1, "index.json"),
    (["-o", "nowhere/a.html"], 1, "nowhere/a.html: cannot be written: the folder nowhere does not exist"),
    (["-o", "a.png"], 1, "a.png: the name of the output must end in .html"),
    (["--model", Tool.model, "-o", "a.html"], 1, "holds no tokenizer; name one with --tokenizer"),
    (["--model", "absent.pth", "--tokenizer", Tool.tokenizer, "-o", "a.html"], 1, "absent.pth"),
    (tiny + ["--attention", "var", "-o", "a.html"], 1, "is VAR, and the page shows attention within one scale"),
    (["--limit", "0.1", "-o", "a.html"], 64, "--limit is 0.1; use a number of megabytes from 0.3 to 100"),
    (["--limit", "0.3", "-o", "a.html"], 1, "the page needs at least 0."),
    (["--top-p", "2", "-o", "a.html"], 64, "top-p is 2"),
  ]

  @Test("bad input is one sentence, and nothing is written", arguments: ExplainCommandTests.mistakes)
  func mistake(item: (arguments: [String], code: Int32, sentence: String)) throws {
    try withTemporaryFolder { folder in
      let result = try Tool.run(["explain"] + item.arguments, in: folder)
      #expect(result.code == item.code, "\(result.errors)")
      #expect(result.errors.hasPrefix("mvar: ") && result.errors.contains(item.sentence), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1 && result.output.isEmpty)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test("an input is not replaced")
  func inputsAreKept() throws {
    try withTemporaryFolder { folder in
      try FileManager.default.copyItem(atPath: Self.photo, toPath: "\(folder)/photo.html")
      let result = try Tool.run(["explain", "photo.html", "-o", "./photo.html"], in: folder)
      #expect(result.code == 1 && result.errors.contains("is the same file as the input photo.html"))
      let files = try ["\(folder)/photo.html", Self.photo].map { try Data(contentsOf: URL(filePath: $0)) }
      #expect(files[0] == files[1])
    }
  }
}
