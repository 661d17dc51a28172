// Weights of one transformer as the beginning of another: nothing changes where nothing differs, rows of classes are
// moved or begin afresh, and positions are those of PyTorch's bicubic interpolation, which the engines' operator has.

import MVAR
import MVARTestSupport
import TensorCore
import Testing

@Suite struct FineTuningTests {
  private typealias Engine = CPU<Float>

  private func configuration(classes: Int = 5, sides: [Int] = [1, 2, 3, 5]) throws -> TransformerConfiguration {
    TransformerConfiguration(
      depth: 2, scaleList: try ScaleList(sides), vocabulary: 16, codeWidth: 4, classes: classes, width: 8, heads: 2,
      window: 3, refineStep: sides.count - 1)
  }

  private func model(_ new: TransformerConfiguration, classes: [Int?]? = nil) throws -> (
    old: MarkovianTransformer<Engine>, new: MarkovianTransformer<Engine>, fresh: MarkovianTransformer<Engine>
  ) {
    let (old, device) = (try configuration(), HostDevice())
    let weights = SeededSource<Engine>(seed: 3, .transformer, on: device)
    let initial = InitialSource<Engine>(seed: 4, on: device)
    let tuning = try FineTuning(from: old, to: new, classes: classes)
    return (
      try MarkovianTransformer(old, weights, on: device),
      try MarkovianTransformer(
        new, FineTuningSource(tuning, weights, initial: initial, on: device), on: device),
      try MarkovianTransformer(new, initial, on: device)
    )
  }

  private func bits(_ model: MarkovianTransformer<Engine>, _ name: String) throws -> [UInt32] {
    let parameter = try #require(model.parameters.first { $0.name == name })
    return try parameter.value.scalars().map(\.bitPattern)
  }

  @Test func nothingChangesWhereNothingDiffers() throws {
    let models = try model(configuration())
    for (old, new) in zip(models.old.parameters, models.new.parameters) {
      #expect(try old.value.scalars().map(\.bitPattern) == new.value.scalars().map(\.bitPattern), "\(old.name)")
    }
    #expect(try FineTuning(from: configuration(), to: configuration()).changes == [])
  }

  /// Each new class's old one, and whether that is by default.
  @Test(
    arguments: [
      (3, nil, [nil, nil, nil]), (9, nil, [Int?](repeating: nil, count: 9)), (5, nil, [0, 1, 2, 3, 4]),
      (3, [4, nil, 0], [4, nil, 0]), (7, [nil, 1, 1, nil, 0, 3, nil], [nil, 1, 1, nil, 0, 3, nil]),
      (5, [4, 3, 2, 1, 0], [4, 3, 2, 1, 0]),
    ] as [(Int, [Int?]?, [Int?])])
  func rowsOfClassesAreKeptOrFresh(_ count: Int, _ map: [Int?]?, _ expected: [Int?]) throws {
    let models = try model(configuration(classes: count), classes: map)
    let name = "classEmbedding.weight"
    let (old, new, fresh) = (
      try bits(models.old, name), try bits(models.new, name), try bits(models.fresh, name)
    )
    #expect(new.count == (count + 1) * 8)
    func row(_ values: [UInt32], _ index: Int) -> [UInt32] { Array(values[index * 8..<(index + 1) * 8]) }
    for (index, source) in expected.enumerated() {
      #expect(row(new, index) == (source.map { row(old, $0) } ?? row(fresh, index)), "class \(index)")
    }
    #expect(row(new, count) == row(old, 5), "the null class")
    for (old, new) in zip(models.old.parameters, models.new.parameters) where old.name != name {
      #expect(try old.value.scalars().map(\.bitPattern) == new.value.scalars().map(\.bitPattern), "\(old.name)")
    }
  }

  /// The old scale of each new one: the nearest place in the list, the lower of two.
  @Test(arguments: [
    ([1, 2, 3, 5], [0, 1, 2, 3]), ([1, 2, 4, 8], [0, 1, 2, 3]), ([1, 3, 6], [0, 1, 3]),
    ([1, 2, 3, 4, 5, 6, 7], [0, 0, 1, 1, 2, 2, 3]), ([1, 4], [0, 3]),
  ])
  func positionsAreResizedScaleByScale(_ sides: [Int], _ sources: [Int]) throws {
    let models = try model(configuration(sides: sides))
    let (oldList, newList) = (models.old.configuration.scaleList, models.new.configuration.scaleList)
    let levels = try bits(models.old, "levelEmbedding.weight")
    #expect(
      try bits(models.new, "levelEmbedding.weight") == sources.flatMap { Array(levels[$0 * 8..<($0 + 1) * 8]) })
    let old = try #require(models.old.parameters.first { $0.name == "positions" }).value
    let new = try #require(models.new.parameters.first { $0.name == "positions" }).value
    for (scale, source) in sources.enumerated() {
      let part = try Engine.slice(old, axis: 1, oldList.tokens(of: source)).scalars()
      let found = try Engine.slice(new, axis: 1, newList.tokens(of: scale)).scalars()
      let (p, q) = (oldList.sides[source], newList.sides[scale])
      guard p != q else {
        #expect(part.map(\.bitPattern) == found.map(\.bitPattern), "scale \(scale) is as it was")
        continue
      }
      let planes = (0..<8 * p * p).map { part[$0 % (p * p) * 8 + $0 / (p * p)] }  // [C, p, p]
      let map = try Tensor<Reference<Float>>(planes, shape: [1, 8, p, p], on: HostDevice())
      let resized = try Reference<Float>.bicubicResize(map, height: q, width: q).scalars()
      for index in found.indices {
        let expected = resized[index % 8 * q * q + index / 8]
        #expect(abs(found[index] - expected) <= 4e-7 * max(1, abs(expected)), "scale \(scale), element \(index)")
      }
    }
  }

  @Test func modelsOfOtherSizesAreRefused() throws {
    let old = try configuration()
    for (change, sentence) in [
      ({ $0.depth = 3 }, "the weights are of a model of 2 blocks, and 3 are needed"),
      ({ $0.vocabulary = 17 }, "the weights are of a model of 16 codes, and 17 are needed"),
      ({ $0.codeWidth = 5 }, "the weights are of a model of 4 elements a code, and 5 are needed"),
      ({ $0.sharesModulation = true }, "the weights are of a model without one AdaLN projection for all blocks"),
    ] as [((inout TransformerConfiguration) -> Void, String)] {
      var new = old
      change(&new)
      #expect(throws: ConfigurationError(sentence)) { try FineTuning(from: old, to: new) }
    }
    #expect(throws: ConfigurationError("the classes of the weights are 0 … 4")) {
      try FineTuning(from: old, to: old, classes: [0, 1, 2, 3, 5])
    }
  }
}
