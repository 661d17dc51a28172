// The tables of the article on how training scales: the commands that it shows, for each of the published depths, and how
// segments of scales would balance over ranks.

import Foundation
import MVAR
import MVARTestSupport
import MVARTraining
import Testing

@Suite("Scaling")
struct ScalingTests {
  private let article = Article("Scaling", of: "MVARTraining")
  private static let depths = [16, 20, 24, 30]

  /// What `mvar flops --ranks --json` writes.
  private struct Output: Decodable {
    struct Step: Decodable {
      let ranks: Int
      let imagesPerRank: Int
      let computing: Double
      let allReduce: Double
      let waiting: Double
      let total: Double
      let efficiency: Double
    }

    struct Memory: Decodable {
      let options: String
      let largestBatch: Int
    }

    struct Parallel: Decodable {
      let ranks: Int
      let gradientBytes: Double
      let sentBytes: Double
      let growing: [Step]
      let mostUsefulRanks: Int
      let memory: [Memory]
    }

    let parallel: [Parallel]
  }

  @Test(
    "times and memory of each machine",
    arguments: [
      ("4090", "8 × RTX 4090 on PCI Express"), ("h200", "8 × H200 on NVLink"), ("cpus", "64 machines without a GPU"),
    ])
  func machines(_ name: String, _ heading: String) throws {
    let command = try #require(Commands.of(article.section(heading)).first)
    var (times, memory): ([[String]], [[String]]) = ([], [])
    // How many images' products take as long as the all-reduce.
    var equivalents: [Int] = []
    try withTemporaryFolder { folder in
      for depth in Self.depths {
        let line = command.line.replacing("--depth 16", with: "--depth \(depth)")
        let result = try Commands(line: "\(line) --json out.json", status: 0).run(in: folder)
        #expect(result.code == 0, "\(result.errors)")
        let output = try JSONDecoder().decode(
          Output.self, from: Data(contentsOf: URL(filePath: "\(folder)/out.json"))
        ).parallel[0]
        let step = try #require(output.growing.last)
        #expect(step.ranks == output.ranks && abs(step.total - step.computing - step.waiting) < 1e-12)
        equivalents.append(Int((step.allReduce / step.computing * Double(step.imagesPerRank)).rounded()))
        func milliseconds(_ seconds: Double) -> String {
          String(format: seconds < 0.1 ? "%.1f" : "%.0f", 1000 * seconds)
        }
        if times.isEmpty {
          let images = output.ranks * step.imagesPerRank
          times.append([
            "", "parameters", "a rank sends", "computing ms", "all-reduce ms", "waiting ms", "efficiency",
            "ranks for \(images)",
          ])
          memory.append([""] + output.memory.map { $0.options == "float32" ? "float32" : "`\($0.options)`" })
        }
        times.append([
          "d\(depth)", String(format: "%.0f M", output.gradientBytes / 4e6),
          String(format: "%.1f GB", output.sentBytes / 1e9), milliseconds(step.computing), milliseconds(step.allReduce),
          milliseconds(step.waiting), String(format: "%.0f %%", 100 * step.efficiency), "\(output.mostUsefulRanks)",
        ])
        memory.append(["d\(depth)"] + output.memory.map { $0.largestBatch == 0 ? "none" : "\($0.largestBatch)" })
      }
    }
    let words = try article.text()
    // The same for each depth.
    #expect(Set(times.dropFirst().map { $0[6] }).count == 1 && Set(equivalents).count == 1)
    let sentence = [
      "4090": "the products of", "h200": "On NVLink it takes as long as those of",
      "cpus": "it takes as long as those of",
    ]
    #expect(words.contains("\(sentence[name] ?? "") \(equivalents[0])"), "\(name): \(equivalents)")
    if name == "4090" { #expect(memory[4][1] == "none" && memory[4][2] != "none") }
    try article.expect(name, Article.table(times))
    try article.expect("\(name) memory", Article.table(memory))
  }

  @Test("numbers in the text")
  func numbers() throws {
    let text = try article.text()
    func cost(_ attention: AttentionPattern) -> TransformerCost {
      TransformerCost(TransformerConfiguration(depth: 16, attention: attention))
    }
    func training(_ attention: AttentionPattern, _ accumulation: Int = 1) -> ParallelTraining {
      var options = ParallelTraining.Options()
      options.accumulation = accumulation
      return ParallelTraining(cost(attention), on: .init(rate: 2.8e12, link: 1.25e9, memory: 0), options)
    }
    func computing(_ attention: AttentionPattern) -> Double { training(attention).step(ranks: 1, images: 1).computing }
    let ratio = computing(.blockCausal) / computing(.mvar)
    #expect(text.contains("computes \(String(format: "%.1f", ratio)) times as long"), "\(ratio)")
    let shares = [1, 4].map { Int((100 * training(.mvar, $0).efficiency(ranks: 64, images: 16)).rounded()) }
    #expect(text.contains("`--accumulate 4` raises the efficiency from \(shares[0]) to \(shares[1]) %"), "\(shares)")
    let activations = [false, true].map { cost(.mvar).trainingBytes(batch: 16, recomputing: $0) }
    #expect(text.contains("`--recompute` divides by \(Int(activations[0] / activations[1]))"), "\(activations)")
    // The formula of the first bucket, in words.
    #expect(text.contains("K buckets of 16 MB (2²⁴ bytes)"))
  }

  @Test("how segments balance over ranks")
  func scales() throws {
    let cost = TransformerCost(TransformerConfiguration(depth: 16))
    let (segments, scaleList) = (cost.trajectory.segments, cost.trajectory.scaleList)
    let products = segments.map { cost.trainingProducts(scales: $0) }
    let all = products.reduce(0, +)
    let rows = zip(segments, products).map { segment, products in
      [
        segment.count == 1 ? "scale \(segment.lowerBound)" : "scales \(segment.lowerBound)–\(segment.upperBound - 1)",
        "\(scaleList.tokens(of: segment).count)", String(format: "%.1f GMAC", products / 1e9),
        String(format: "%.0f %%", 100 * products / all),
      ]
    }
    // The best division among two: the largest segment alone.
    let largest = try #require(products.max())
    #expect(all - largest > largest)
    let balances = [(2, all - largest), (3, largest)].map { ranks, slowest in
      [
        "on \(ranks) ranks, of their time computing", "", "",
        String(format: "%.0f %%", 100 * all / (Double(ranks) * slowest)),
      ]
    }
    try article.expect(
      "scales", Article.table([["d16", "tokens of an image", "a training step", "of all"]] + rows + balances))
  }
}
