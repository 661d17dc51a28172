// `gpu-check speed attention`: windowed and dense attention on maps of growing size, and the attention of all scales of
// an image in MVAR and in VAR, which the paper's second table compares.

import ArgumentParser
import MVAR
import MVARCUDA
import TensorCore

struct SpeedOfAttention: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attention", abstract: "Time windowed and dense attention, and the attention of MVAR and VAR.")

  @OptionGroup var models: ModelOptions

  private var device: DeviceOptions { models.device }

  func run() throws {
    let watch = Stopwatch(engine: try device.engine(), once: device.small)
    try maps(watch)
    try blocks(watch)
  }

  /// Maps of several sizes.
  private func maps(_ watch: Stopwatch) throws {
    let (heads, width, window, batch) = device.small ? (2, 8, 3, 1) : (16, 64, 7, 8)
    let section = "Attention on maps: window \(window), \(heads) heads of \(width) numbers, batch \(batch), float32"
    for side in device.small ? [8] : [16, 32, 64] {
      progress("attention on \(side) × \(side)")
      let shape: Shape = [batch, side, side, heads, width]
      let map = Heads<CUDA>(
        queries: try numbers(shape, seed: 1, on: watch.engine), keys: try numbers(shape, seed: 2, on: watch.engine),
        values: try numbers(shape, seed: 3, on: watch.engine))
      let tokens = side * side
      let flat: Shape = [batch, tokens, heads, width]
      let list = Heads<CUDA>(
        queries: map.queries.reshaped(flat), keys: map.keys.reshaped(flat), values: map.values.reshaped(flat))
      let spans = [AttentionSpan(queries: 0..<tokens, keys: 0..<tokens)]
      let times: [(String, Double)] = [
        (
          "windowed, here",
          try watch.seconds { _ = CUDA.neighborhoodAttention(map, window: window, softmaxScale: 0.125) }
        ),
        (
          "windowed with backward, here",
          try watch.seconds {
            let saved = CUDA.neighborhoodAttention(map, window: window, softmaxScale: 0.125).saved
            _ = CUDA.dNeighborhoodAttention(map.queries, saved, window: window, softmaxScale: 0.125)
          }
        ),
        ("dense, here", try watch.seconds { _ = CUDA.attention(list, spans: spans, softmaxScale: 0.125) }),
        (
          "dense with backward, here",
          try watch.seconds {
            let saved = CUDA.attention(list, spans: spans, softmaxScale: 0.125).saved
            _ = CUDA.dAttention(list.queries, saved, spans: spans, softmaxScale: 0.125)
          }
        ),
      ]
      for (column, seconds) in times {
        Measurement(section, "\(side) × \(side)", column, Amount.time(seconds)).report()
      }
    }
  }

  /// The attention of all blocks, scale by scale as in sampling.
  private func blocks(_ watch: Stopwatch) throws {
    let (scenario, count) = (try models.scenario(), models.imageCount)
    let configuration = scenario.transformer
    // With guidance, every image takes two rows of the batch.
    let rows = 2 * count
    let (heads, width) = (configuration.heads, configuration.width / configuration.heads)
    let section =
      "Attention of all \(configuration.depth) blocks while sampling: \(scenario.name), \(rows / 2) images, float32"
    for pattern in AttentionPattern.allCases {
      progress("attention of \(pattern.rawValue)")
      var patterned = configuration
      patterned.attention = pattern
      let trajectory = ScaleTrajectory(patterned)
      var (total, cache) = (0.0, 0)
      for scale in 0..<configuration.scaleList.count {
        let side = configuration.scaleList.sides[scale]
        let first = trajectory.visibleScales(from: scale).lowerBound
        let keyCount = configuration.scaleList.tokens(of: first..<scale + 1).count
        let queries: Shape = [rows, side * side, heads, width]
        let keys: Shape = [rows, keyCount, heads, width]
        let parts = Heads<CUDA>(
          queries: try numbers(queries, seed: 1, on: watch.engine), keys: try numbers(keys, seed: 2, on: watch.engine),
          values: try numbers(keys, seed: 3, on: watch.engine))
        let seconds = try watch.seconds {
          if trajectory.isWindowed(scale) {
            let map: Shape = [rows, side, side, heads, width]
            _ = CUDA.neighborhoodAttention(
              Heads(
                queries: parts.queries.reshaped(map), keys: parts.keys.reshaped(map), values: parts.values.reshaped(map)
              ),
              window: trajectory.window, softmaxScale: 1)
          } else {
            let spans = [AttentionSpan(queries: 0..<side * side, keys: 0..<keyCount)]
            _ = CUDA.attention(parts, spans: spans, softmaxScale: 1)
          }
        }
        total += seconds * Double(configuration.depth)
        if pattern.seesEarlierScales {
          cache = 2 * rows * keyCount * configuration.width * 4 * configuration.depth
        }
        Measurement(section, "scale \(scale + 1)", pattern.rawValue, Amount.time(seconds * Double(configuration.depth)))
          .report()
      }
      Measurement(section, "all scales", pattern.rawValue, Amount.time(total)).report()
      Measurement(section, "keys and values kept", pattern.rawValue, Amount.bytes(cache)).report()
    }
  }
}
