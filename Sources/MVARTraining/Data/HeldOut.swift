// Chooses which examples of each class are held out for validation, by a hash of their names and a fixed key. The same
// names always give the same split, whatever the seed of the training, and adding or removing a file moves at most one
// or two others. It does not look at the examples themselves.

import TensorCore

enum HeldOut {
  /// The key of the split: it never changes, because a model must not be evaluated on what an earlier run was trained
  /// on.
  private static let seed: UInt64 = 0x6865_6C64_206F_7574

  /// How many of a class's examples are held out: `count / oneIn` rounded to nearest, at least 1 from 5 examples up,
  /// and never all of them.
  static func count(of count: Int, oneIn: Int) -> Int {
    guard oneIn > 0 else { return 0 }
    let rounded = count / oneIn + (count % oneIn >= oneIn - count % oneIn ? 1 : 0)
    return min(max(rounded, count >= 5 ? 1 : 0), max(count - 1, 0))
  }

  /// Splits the examples of each class; both parts keep the order of classes and of the examples in them.
  static func split<Example>(
    _ groups: [[Example]], oneIn: Int, name: (Example) -> String
  ) -> (training: [Example], validation: [Example]) {
    var (training, validation): ([Example], [Example]) = ([], [])
    for group in groups {
      let keys = group.map { key(name($0)) }
      let ranked = group.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }
      let held = Set(ranked.prefix(count(of: group.count, oneIn: oneIn)))
      for (index, example) in group.enumerated() {
        if held.contains(index) { validation.append(example) } else { training.append(example) }
      }
    }
    return (training, validation)
  }

  /// Philox of the name's FNV-1a hash.
  private static func key(_ name: String) -> UInt64 {
    let hash = name.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    let words = RandomStream(seed: seed, stream: hash).words(block: 0, purpose: .shuffling)
    return UInt64(words[0]) << 32 | UInt64(words[1])
  }
}
