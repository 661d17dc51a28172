// Several requests at a time to one generator, as in a server. They take turns, and none changes what another gets.

import MVARPipeline

/// The tokens of requests that ran one after the other, and of the same requests at once.
public func concurrentRequests(_ count: Int) async throws -> (inSequence: [[[Int]]], atOnce: [[[Int]]]) {
  let generator = try ImageGenerator.shipped()
  @Sendable func tokens(_ seed: Int) async throws -> [[Int]] {
    let name = generator.classes[seed % generator.classes.count] ?? "\(seed)"
    var tokens: [[Int]] = []
    for try await image in try generator.images(of: [name], count: 2, seed: UInt64(seed)) { tokens += image.tokens }
    return tokens
  }
  var inSequence: [[[Int]]] = []
  for seed in 0..<count { inSequence.append(try await tokens(seed)) }
  let atOnce = try await withThrowingTaskGroup(of: (Int, [[Int]]).self) { group in
    for seed in 0..<count { group.addTask { (seed, try await tokens(seed)) } }
    var answers = [[[Int]]](repeating: [], count: count)
    for try await (seed, answer) in group { answers[seed] = answer }
    return answers
  }
  return (inSequence, atOnce)
}
