// Times attention on square maps, within windows and dense: how cost grows with the number of tokens.
//
//     WindowedAttention [ROUNDS [PICTURE.png]]      16 heads of 64 numbers, window 7, sides 16 … 128, batch 1
//
// Prints a Markdown table: microseconds per query of the forward, and of forward and backward together, medians. Windowed
// and dense measurements take turns.

import Foundation
import Media
import TensorCore

typealias Engine = CPU<Float>

let (heads, width, window) = (16, 64, 7)
let sides = [16, 32, 64, 96, 128]
let arguments = CommandLine.arguments.dropFirst()
let rounds = arguments.first.map { Int($0) ?? 0 } ?? 5
guard arguments.count <= 2, rounds > 0 else {
  print("usage: WindowedAttention [ROUNDS [PICTURE.png]]")
  exit(64)
}

/// Normal-ish numbers of order 1.
func values(_ side: Int, _ stream: UInt64) throws -> Tensor<Engine> {
  let random = RandomStream(seed: 1, stream: stream)
  let shape: Shape = [1, side, side, heads, width]
  let numbers = (0..<shape.count).map { Float(2 * random.uniform($0, purpose: .initialisation) - 1) }
  return try Tensor(numbers, shape: shape, on: HostDevice())
}

/// Seconds that some work takes.
func time(_ work: () -> Void) -> Double {
  let start = ContinuousClock.now
  work()
  return (ContinuousClock.now - start) / .seconds(1)
}

func median(_ numbers: [Double]) -> Double { numbers.sorted()[numbers.count / 2] }

/// Seconds of the forward, and of forward and backward, for windowed and dense attention on one map.
struct Times {
  var forward: [Double] = []
  var both: [Double] = []
}

print("| map | windowed, forward | windowed, with backward | dense, forward | dense, with backward |")
print("| --- | --- | --- | --- | --- |")
var (windowed, dense) = ([Int: Times](), [Int: Times]())
for side in sides {
  let tokens = side * side
  let map = Heads<Engine>(
    queries: try values(side, 0), keys: try values(side, 1), values: try values(side, 2))
  let dMap = try values(side, 3)
  let flat: Shape = [1, tokens, heads, width]
  let list = Heads<Engine>(
    queries: map.queries.reshaped(flat), keys: map.keys.reshaped(flat), values: map.values.reshaped(flat))
  let dList = dMap.reshaped(flat)
  let spans = [AttentionSpan(queries: 0..<tokens, keys: 0..<tokens)]
  // As often as gives some 30 ms a measurement.
  let repeats = max(1, 65536 / tokens)
  for round in 0...rounds {
    let windowForward = time {
      for _ in 0..<repeats { _ = Engine.neighborhoodAttention(map, window: window, scale: 0.125) }
    }
    let windowBoth = time {
      for _ in 0..<repeats {
        let saved = Engine.neighborhoodAttention(map, window: window, scale: 0.125).saved
        _ = Engine.dNeighborhoodAttention(dMap, saved, window: window, scale: 0.125)
      }
    }
    // On the largest maps dense attention takes so many seconds that one measurement must do.
    if tokens > 4096 && round != 1 {
      if round == 0 { continue }
      windowed[side, default: Times()].forward.append(windowForward / Double(repeats))
      windowed[side, default: Times()].both.append(windowBoth / Double(repeats))
      continue
    }
    let denseRepeats = max(1, repeats / (tokens / 64))
    let denseForward = time {
      for _ in 0..<denseRepeats { _ = Engine.attention(list, spans: spans, scale: 0.125) }
    }
    let denseBoth = time {
      for _ in 0..<denseRepeats {
        let saved = Engine.attention(list, spans: spans, scale: 0.125).saved
        _ = Engine.dAttention(dList, saved, spans: spans, scale: 0.125)
      }
    }
    // The first round warms up.
    if round == 0 { continue }
    windowed[side, default: Times()].forward.append(windowForward / Double(repeats))
    windowed[side, default: Times()].both.append(windowBoth / Double(repeats))
    dense[side, default: Times()].forward.append(denseForward / Double(denseRepeats))
    dense[side, default: Times()].both.append(denseBoth / Double(denseRepeats))
  }
  let cells = [windowed[side]!.forward, windowed[side]!.both, dense[side]!.forward, dense[side]!.both].map {
    String(format: "%.2f µs", median($0) / Double(side * side) * 1e6)
  }
  print("| \(side) × \(side) | \(cells.joined(separator: " | ")) |")
  fflush(nil)
}

for (name, measure) in [("forward", { (times: Times) in times.forward }), ("with backward", { $0.both })] {
  let perQuery = sides.map { median(measure(windowed[$0]!)) / Double($0 * $0) }
  let mean = perQuery.reduce(0, +) / Double(perQuery.count)
  let spread = perQuery.map { abs($0 / mean - 1) }.max()!
  print("windowed, \(name): per query within \(String(format: "%.1f", 100 * spread)) % of the mean over all maps")
}
if arguments.count == 2 {
  func curve(_ name: String, _ times: [Int: Times], _ measure: (Times) -> [Double]) -> LinePlot.Series {
    LinePlot.Series(name, sides.map { (x: Double($0 * $0), y: median(measure(times[$0]!)) * 1000) })
  }
  var plot = LinePlot(
    title: "Attention on a map: window \(window), or dense; \(heads) heads x \(width)", xLabel: "tokens", yLabel: "ms",
    series: [
      curve("windowed", windowed) { $0.forward }, curve("dense", dense) { $0.forward },
      curve("windowed + backward", windowed) { $0.both }, curve("dense + backward", dense) { $0.both },
    ])
  plot.xScale = .logarithmic
  plot.yScale = .logarithmic
  try plot.draw().writePNG(to: arguments.last!)
}
