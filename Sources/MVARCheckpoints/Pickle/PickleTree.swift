// Turns the machine's flat array of objects into a tree of `PickleValue`, and lists the tensors in it by name.
//
// Shared objects stay shared, so the tree is never larger than the pickle. An object that contains itself, nesting
// beyond 200 levels, a key that occurs twice, and sharing that would unfold into more than 2^22 visits are errors.

import MVARFiles

/// Converts one machine's objects.
struct PickleTree {
  static let deepestNesting = 200
  static let mostVisits = 1 << 22
  static let mostNameBytes = 1 << 26

  private let machine: PickleMachine
  private let resolve: (TensorReference) throws -> StoredTensor
  private var finished: [Int: (value: PickleValue, height: Int)] = [:]
  private var finishedTensors: [Int: StoredTensor] = [:]
  private var unfinished: Set<Int> = []
  /// The number of elements that views may repeat beyond what their storages hold, over the whole file.
  private var repeatBudget = 1 << 26
  /// Bytes of dictionary keys that may be compared, over the whole file.
  private var keyBudget = 1 << 28

  /// - Parameter resolve: finds a tensor's bytes.
  init(_ machine: PickleMachine, resolve: @escaping (TensorReference) throws -> StoredTensor) {
    self.machine = machine
    self.resolve = resolve
  }

  /// The tree below an item.
  mutating func value(of item: PickleItem) throws -> PickleValue {
    try convert(item, depth: 0).value
  }

  private mutating func convert(_ item: PickleItem, depth: Int) throws -> (value: PickleValue, height: Int) {
    switch item {
    case .none: return (.none, 0)
    case .bool(let value): return (.bool(value), 0)
    case .int(let value): return (.int(value), 0)
    case .bigInteger(let value): return (.bigInteger(value), 0)
    case .double(let value): return (.double(value), 0)
    case .string(let value): return (.string(value), 0)
    case .bytes(let value): return (.bytes(value), 0)
    case .global(_, let name): return (.global(name), 0)
    case .storage: throw FileError("the pickle holds a storage that belongs to no tensor")
    case .tensor(let index): return (.tensor(try tensor(index)), 0)
    case .object(let index):
      if let done = finished[index] { return done }
      guard depth < Self.deepestNesting else { throw Self.tooDeep }
      guard unfinished.insert(index).inserted else {
        throw FileError("the pickle holds an object that contains itself")
      }
      let result = try convert(machine.objects[index], depth: depth + 1)
      guard result.height <= Self.deepestNesting else { throw Self.tooDeep }
      unfinished.remove(index)
      finished[index] = result
      return result
    }
  }

  private static let tooDeep = FileError("the pickle is nested more than \(deepestNesting) levels deep")

  private mutating func convert(_ object: PickleObject, depth: Int) throws -> (value: PickleValue, height: Int) {
    var values: [PickleValue] = []
    values.reserveCapacity(object.items.count)
    var height = 0
    for item in object.items {
      let (value, below) = try convert(item, depth: depth)
      values.append(value)
      height = max(height, below)
    }
    switch object.kind {
    case .list: return (.list(values), height + 1)
    case .tuple: return (.tuple(values), height + 1)
    case .set: return (.set(values), height + 1)
    case .numpyType: return (.global("numpy.dtype"), 0)
    case .dictionary, .orderedDictionary, .namespace:
      var pairs: [(key: PickleValue, value: PickleValue)] = []
      pairs.reserveCapacity(values.count / 2)
      var keys: Set<String> = []
      for index in stride(from: 0, to: values.count - 1, by: 2) {
        if let key = Self.text(values[index]) {
          keyBudget -= key.label.utf8.count
          guard keyBudget >= 0 else { throw FileError("the pickle's dictionaries have keys of absurd length") }
          guard keys.insert(key.label).inserted else {
            throw FileError("a dictionary in the pickle holds the key \(excerpt(key.shown)) twice")
          }
        }
        pairs.append((values[index], values[index + 1]))
      }
      return (.dictionary(pairs), height + 1)
    }
  }

  /// A simple key as part of a name, and a label that distinguishes text from numbers; nil for other keys.
  private static func text(_ key: PickleValue) -> (shown: String, label: String)? {
    switch key {
    case .string(let text): (text, "s" + text)
    case .int(let number): ("\(number)", "i\(number)")
    case .bool(let value): ("\(value)", "b\(value)")
    default: nil
    }
  }

  private mutating func tensor(_ index: Int) throws -> StoredTensor {
    if let tensor = finishedTensors[index] { return tensor }
    let tensor = try resolve(machine.tensors[index])
    let repeated = tensor.count - tensor.storage.count / tensor.scalarType.byteWidth
    if repeated > 0 {
      guard repeated <= repeatBudget else {
        throw FileError("the tensors repeat the elements of their storages too often; the file is refused")
      }
      repeatBudget -= repeated
    }
    finishedTensors[index] = tensor
    return tensor
  }
}

extension PickleTree {
  /// A tensor, and the keys and positions that lead to it.
  typealias Leaf = (path: [String], tensor: StoredTensor)

  /// All tensors in a tree, in file order.
  static func leaves(of root: PickleValue) throws -> [Leaf] {
    var walk = Walk()
    try walk.visit(root)
    return walk.leaves
  }

  private struct Walk {
    var leaves: [Leaf] = []
    var path: [String] = []
    var visits = 0
    var nameBytes = 0

    mutating func visit(_ value: PickleValue) throws {
      visits += 1
      guard visits <= PickleTree.mostVisits else {
        throw FileError("the pickle repeats shared parts too often; the file is refused")
      }
      switch value {
      case .tensor(let tensor):
        nameBytes += path.reduce(64) { $0 + $1.utf8.count + 16 }
        guard nameBytes <= PickleTree.mostNameBytes else {
          throw FileError("the names of the tensors take too much memory; the file is refused")
        }
        leaves.append((path, tensor))
      case .list(let elements), .tuple(let elements):
        for (index, element) in elements.enumerated() { try visit(element, under: "\(index)") }
      case .dictionary(let pairs):
        for (index, pair) in pairs.enumerated() {
          try visit(pair.value, under: PickleTree.text(pair.key)?.shown ?? "#\(index)")
        }
      default: break
      }
    }

    private mutating func visit(_ value: PickleValue, under name: String) throws {
      path.append(name)
      try visit(value)
      path.removeLast()
    }
  }
}
