// Times windowed and dense attention on square maps: how cost grows with the number of tokens.
//
//     WindowedAttention [ROUNDS [PLOT.svg]]      16 heads of width 64, window 7, sides 16 … 128, batch 1
//
// Prints a Markdown table: median microseconds per query for the forward, and for forward and backward together.
// Windowed and dense measurements alternate.

import Foundation
import MVARPlots
import TensorCore

typealias Engine = CPU<Float>

let (heads, width, window) = (16, 64, 7)
let sides = [16, 32, 64, 96, 128]
let arguments = CommandLine.arguments.dropFirst()
let rounds = arguments.first.map { Int($0) ?? 0 } ?? 5
guard arguments.count <= 2, rounds > 0 else {
  print("usage: WindowedAttention [ROUNDS [PLOT.svg]]")
  exit(64)
}
if arguments.count == 2, let path = arguments.last, !path.lowercased().hasSuffix(".svg") {
  print("\(path): the name of the plot must end in .svg")
  exit(64)
}

/// Roughly normal values of order 1.
func values(_ side: Int, _ stream: UInt64) throws -> Tensor<Engine> {
  let random = RandomStream(seed: 1, stream: stream)
  let shape: Shape = [1, side, side, heads, width]
  let numbers = (0..<shape.count).map { Float(2 * random.uniform($0, purpose: .initialization) - 1) }
  return try Tensor(numbers, shape: shape, on: HostDevice())
}

/// The seconds that some work takes.
func time(_ work: () -> Void) -> Double {
  let start = ContinuousClock.now
  work()
  return (ContinuousClock.now - start) / .seconds(1)
}

func median(_ numbers: [Double]) -> Double { numbers.sorted()[numbers.count / 2] }

/// Seconds for the forward, and for forward and backward, of windowed or dense attention on one map.
struct Times {
  private(set) var forward: [Double] = []
  private(set) var both: [Double] = []

  /// Times each once, and keeps the result unless it is a warm-up. Both are run once beforehand, unless they take long,
  /// so that memory is already allocated.
  mutating func measure(
    _ repeats: Int, isWarmUp: Bool, _ attend: () -> AttentionSaved<Engine>,
    backward: (AttentionSaved<Engine>) -> Void
  ) {
    if repeats > 1 { backward(attend()) }
    let forwardSeconds = time { for _ in 0..<repeats { _ = attend() } }
    let bothSeconds = time { for _ in 0..<repeats { backward(attend()) } }
    if isWarmUp { return }
    forward.append(forwardSeconds / Double(repeats))
    both.append(bothSeconds / Double(repeats))
  }
}

/// The inputs for one side length, as a map and as a list.
struct Inputs {
  let map: Heads<Engine>
  let list: Heads<Engine>
  let dMap: Tensor<Engine>
  let dList: Tensor<Engine>

  init(side: Int) throws {
    map = Heads(queries: try values(side, 0), keys: try values(side, 1), values: try values(side, 2))
    let flat: Shape = [1, side * side, heads, width]
    list = Heads(
      queries: map.queries.reshaped(flat), keys: map.keys.reshaped(flat), values: map.values.reshaped(flat))
    dMap = try values(side, 3)
    dList = dMap.reshaped(flat)
  }
}

let inputs = try sides.map { try Inputs(side: $0) }
var windowed = [Times](repeating: Times(), count: sides.count)
var dense = windowed
// All maps in every round, so that a slowdown of the machine affects all of them; the first round is a warm-up.
for round in 0...rounds {
  for (i, side) in sides.enumerated() {
    let (tokens, x) = (side * side, inputs[i])
    // Repeated so that a measurement takes some 30 ms.
    let repeats = max(1, 65536 / tokens)
    windowed[i].measure(repeats, isWarmUp: round == 0) {
      Engine.neighborhoodAttention(x.map, window: window, softmaxScale: 0.125).saved
    } backward: {
      _ = Engine.dNeighborhoodAttention(x.dMap, $0, window: window, softmaxScale: 0.125)
    }
    // On the largest maps dense attention takes so many seconds that one measurement must suffice.
    guard tokens <= 4096 || round == 1 else { continue }
    let spans = [AttentionSpan(queries: 0..<tokens, keys: 0..<tokens)]
    dense[i].measure(max(1, repeats / (tokens / 64)), isWarmUp: round == 0) {
      Engine.attention(x.list, spans: spans, softmaxScale: 0.125).saved
    } backward: {
      _ = Engine.dAttention(x.dList, $0, spans: spans, softmaxScale: 0.125)
    }
  }
}

print("| map | windowed, forward | windowed, with backward | dense, forward | dense, with backward |")
print("| --- | --- | --- | --- | --- |")
for (i, side) in sides.enumerated() {
  let cells = [windowed[i].forward, windowed[i].both, dense[i].forward, dense[i].both].map {
    String(format: "%.2f µs", median($0) / Double(side * side) * 1e6)
  }
  print("| \(side) × \(side) | \(cells.joined(separator: " | ")) |")
}

for (name, measure) in [("forward", { (times: Times) in times.forward }), ("with backward", { $0.both })] {
  let perQuery = zip(sides, windowed).map { median(measure($1)) / Double($0 * $0) }
  let mean = perQuery.reduce(0, +) / Double(perQuery.count)
  let spread = perQuery.map { abs($0 / mean - 1) }.max()!
  print("windowed, \(name): per query within \(String(format: "%.1f", 100 * spread)) % of the mean over all maps")
}
if arguments.count == 2 {
  func curve(_ name: String, _ times: [Times], _ measure: (Times) -> [Double]) -> LinePlot.Series {
    LinePlot.Series(name, zip(sides, times).map { (x: Double($0 * $0), y: median(measure($1)) * 1000) })
  }
  var plot = LinePlot(
    title: "Attention on a map: window of \(window) × \(window), or dense; \(heads) heads of \(width)",
    xLabel: "tokens of a map", yLabel: "milliseconds",
    series: [
      curve("windowed", windowed) { $0.forward }, curve("dense", dense) { $0.forward },
      curve("windowed + backward", windowed) { $0.both }, curve("dense + backward", dense) { $0.both },
    ])
  plot.xTicks = sides.map { (Double($0 * $0), "\($0) × \($0)") }
  plot.xScale = .logarithmic
  plot.yScale = .logarithmic
  try Figure(.lines(plot)).write(to: arguments.last!)
}
