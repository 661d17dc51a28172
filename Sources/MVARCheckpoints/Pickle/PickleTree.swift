// Turns the machine's flat array of objects into a tree of `PickleValue`, and lists the tensors in it by name.
//
// Shared objects stay shared, so the tree is never larger than the pickle. Deep nesting, a key that occurs twice, and
// sharing that would unfold into too many visits are errors; `FileLimits` has the limits. What PyTorch can read and is not
// read here, an object that contains itself or a tensor that repeats its elements too often, is skipped.

import MVARFiles

/// Converts one machine's objects.
struct PickleTree {
  private let machine: PickleMachine
  private let resolve: (TensorReference) throws -> StoredTensor
  private var finished: [PickleValue?]
  private var heights: [UInt8]
  private var unfinished: [Bool]
  private var finishedTensors: [StoredTensor?]
  private var repeatBudget = FileLimits.repeatedElements
  private var textBudget: Int
  /// The keys that lead to what is being converted, for sentences about it.
  private var path: [String] = []

  /// - Parameter resolve: finds a tensor's bytes.
  init(_ machine: PickleMachine, resolve: @escaping (TensorReference) throws -> StoredTensor) {
    self.machine = machine
    self.resolve = resolve
    finished = Array(repeating: nil, count: machine.objects.count)
    heights = Array(repeating: 0, count: machine.objects.count)
    unfinished = Array(repeating: false, count: machine.objects.count)
    finishedTensors = Array(repeating: nil, count: machine.tensors.count)
    textBudget = FileLimits.treeTextBytes + min(2 * machine.region.count, 2 * FileLimits.pickleBytes)
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
    case .double(let value): return (.double(value), 0)
    case .bigInteger(let slice):
      try charge(slice)
      return (.bigInteger(try machine.bytes(in: slice)), 0)
    case .text(let slice):
      try charge(slice)
      return (.string(machine.text(in: slice) ?? ""), 0)
    case .bytes(let slice):
      try charge(slice)
      return (.bytes(try machine.bytes(in: slice)), 0)
    case .blob(let index, let isInteger):
      let bytes = machine.blobs[Int(index)]
      return (isInteger ? .bigInteger(bytes) : .bytes(bytes), 0)
    case .global(let index): return (.global(machine.globals[Int(index)].name), 0)
    case .skipped(let index): return (.skipped(machine.skipped[Int(index)]), 0)
    case .storage: return (.skipped(SkippedObject(name: "a storage that belongs to no tensor", isTensor: true)), 0)
    case .tensor(let index): return (try tensor(Int(index)), 0)
    case .object(let index): return try object(Int(index), depth: depth)
    }
  }

  /// Counts texts that do not fit into a value.
  private mutating func charge(_ slice: PickleSlice) throws {
    guard slice.count > 15 else { return }
    textBudget -= Int(slice.count) + 32
    guard textBudget >= 0 else { throw FileError("the pickle repeats its texts too often; the file is refused") }
  }

  private static let tooDeep = FileError(
    "the pickle is nested more than \(FileLimits.pickleNesting) levels deep")

  private mutating func object(_ index: Int, depth: Int) throws -> (value: PickleValue, height: Int) {
    if let done = finished[index] { return (done, Int(heights[index])) }
    guard depth < FileLimits.pickleNesting else { throw Self.tooDeep }
    guard !unfinished[index] else { return (.skipped(.containingItself), 0) }
    unfinished[index] = true
    let (value, height) = try convert(machine.objects[index], depth: depth + 1)
    guard height <= FileLimits.pickleNesting else { throw Self.tooDeep }
    unfinished[index] = false
    finished[index] = value
    heights[index] = UInt8(height)
    return (value, height)
  }

  private mutating func convert(_ object: PickleObject, depth: Int) throws -> (value: PickleValue, height: Int) {
    var height = 0
    switch object.kind {
    case .numpyType: return (.global("numpy.dtype"), 0)
    case .list: return (.list(try values(object.items, depth: depth, &height)), height + 1)
    case .tuple: return (.tuple(try values(object.items, depth: depth, &height)), height + 1)
    case .set: return (.set(try values(object.items, depth: depth, &height)), height + 1)
    case .dictionary, .orderedDictionary, .namespace:
      let count = object.items.count / 2
      var pairs: [(key: PickleValue, value: PickleValue)] = []
      pairs.reserveCapacity(count)
      for place in stride(from: 0, to: 2 * count, by: 2) {
        let (key, keyHeight) = try convert(object.items[place], depth: depth)
        path.append(Key(key)?.shown ?? "#\(place / 2)")
        let (value, valueHeight) = try convert(object.items[place + 1], depth: depth)
        path.removeLast()
        pairs.append((key, value))
        height = max(height, keyHeight, valueHeight)
      }
      try Self.checkKeys(pairs)
      return (.dictionary(pairs), height + 1)
    }
  }

  private mutating func values(_ items: [PickleItem], depth: Int, _ height: inout Int) throws -> [PickleValue] {
    var values: [PickleValue] = []
    values.reserveCapacity(items.count)
    for (place, item) in items.enumerated() {
      let hasName =
        switch item {
        case .tensor, .object: true
        default: false
        }
      if hasName { path.append("\(place)") }
      let (value, below) = try convert(item, depth: depth)
      if hasName { path.removeLast() }
      values.append(value)
      height = max(height, below)
    }
    return values
  }

  /// A key that may occur only once; texts are the same if their bytes are.
  private enum Key: Hashable {
    case text(ExactText)
    case int(Int)
    case bool(Bool)

    init?(_ value: PickleValue) {
      switch value {
      case .string(let text): self = .text(ExactText(text))
      case .int(let number): self = .int(number)
      case .bool(let value): self = .bool(value)
      default: return nil
      }
    }

    /// The key as part of a name.
    var shown: String {
      switch self {
      case .text(let text): text.text
      case .int(let number): "\(number)"
      case .bool(let value): "\(value)"
      }
    }
  }

  private static func checkKeys(_ pairs: [(key: PickleValue, value: PickleValue)]) throws {
    guard pairs.count > 1 else { return }
    var keys: Set<Key> = []
    for case let key? in pairs.lazy.map({ Key($0.key) }) where !keys.insert(key).inserted {
      throw FileError("a dictionary in the pickle holds the key \(excerpt(key.shown)) twice")
    }
  }

  private mutating func tensor(_ index: Int) throws -> PickleValue {
    if let tensor = finishedTensors[index] { return .tensor(tensor) }
    do {
      let tensor = try resolve(machine.tensors[index])
      let repeated = tensor.count - tensor.storage.count / tensor.scalarType.byteWidth
      if repeated > 0 {
        guard repeated <= repeatBudget else { throw RepeatedElements(shape: tensor.shape) }
        repeatBudget -= repeated
      }
      finishedTensors[index] = tensor
      return .tensor(tensor)
    } catch let error as RepeatedElements {
      return .skipped(SkippedObject(name: error.description, isTensor: true))
    } catch let error as FileError where !path.isEmpty {
      throw FileError(error.path, "tensor \"\(excerpt(path.joined(separator: ".")))\": \(error.reason)")
    }
  }
}

extension PickleTree {
  /// Something, and the keys and positions that lead to it.
  struct Leaf<Value> {
    let path: [String]
    let value: Value
  }

  /// What a tree holds, in file order.
  struct Leaves {
    var tensors: [Leaf<StoredTensor>] = []
    var skipped: [Leaf<SkippedObject>] = []
    /// What is no tensor in a dictionary of tensors, in words: `a number`.
    var others: [Leaf<String>] = []
  }

  /// All tensors in a tree, and what was skipped.
  static func leaves(of root: PickleValue) throws -> Leaves {
    var walk = Walk()
    try walk.visit(root)
    return walk.leaves
  }

  private struct Walk {
    var leaves = Leaves()
    var path: [String] = []
    var visits = 0
    var nameBytes = 0

    mutating func visit(_ value: PickleValue) throws {
      visits += 1
      guard visits <= FileLimits.treeVisits else {
        throw FileError("the pickle repeats shared parts too often; the file is refused")
      }
      switch value {
      case .tensor(let tensor):
        try chargeName()
        leaves.tensors.append(Leaf(path: path, value: tensor))
      case .skipped(let object):
        try chargeName()
        leaves.skipped.append(Leaf(path: path, value: object))
      case .list(let elements), .tuple(let elements):
        for (index, element) in elements.enumerated() { try visit(element, under: "\(index)") }
      case .dictionary(let pairs):
        let hasTensors = pairs.contains { $0.value.tensor != nil }
        for (index, pair) in pairs.enumerated() {
          let name = Key(pair.key)?.shown ?? "#\(index)"
          try visit(pair.value, under: name)
          if hasTensors, pair.value.isPlain {
            path.append(name)
            try chargeName()
            leaves.others.append(Leaf(path: path, value: pair.value.kindName))
            path.removeLast()
          }
        }
      default: break
      }
    }

    private mutating func chargeName() throws {
      nameBytes += path.reduce(0) { $0 + $1.utf8.count + 1 }
      guard nameBytes <= FileLimits.nameBytes,
        leaves.tensors.count + leaves.skipped.count + leaves.others.count < FileLimits.tensors
      else {
        throw FileError("the names of the tensors take too much memory; the file is refused")
      }
    }

    private mutating func visit(_ value: PickleValue, under name: String) throws {
      path.append(name)
      try visit(value)
      path.removeLast()
    }
  }
}
