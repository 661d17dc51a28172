// What the few names with a meaning do when a pickle "calls" them: describe a tensor, or make a plain container.
//
// The argument lists are those that PyTorch, collections, argparse and NumPy write; anything else is an error.
// Gradients, hooks and attributes attached to tensors are discarded. Whatever any other name would make is skipped.

import MVARFiles

extension PickleMachine {
  /// The elements of a tuple or list.
  private func elements(_ item: PickleItem, _ kinds: [PickleObject.Kind] = [.tuple, .list, .set]) -> [PickleItem]? {
    guard case .object(let index) = item, kinds.contains(objects[Int(index)].kind) else { return nil }
    return objects[Int(index)].items
  }

  /// The tuple or list of a few integers, by its index.
  private func integers(_ item: PickleItem) -> Int32? {
    guard case .object(let index) = item, let items = elements(item, [.tuple, .list]),
      items.count <= Layout.largestRank,
      items.allSatisfy({ if case .int = $0 { true } else { false } })
    else { return nil }
    return index
  }

  // MARK: Calls

  /// The value that a name makes from its arguments.
  mutating func call(_ callee: PickleItem, _ arguments: PickleItem) throws -> PickleItem {
    guard case .global(let index) = callee else { return try skip(name(of: callee)) }
    let (global, name) = globals[Int(index)]
    if case .unknown = global { return try skip(name) }
    if case .foreignTensor(let kind) = global { return try skip(kind, isTensor: true) }
    guard let arguments = elements(arguments, [.tuple]) else {
      throw FileError("the pickle calls \(excerpt(name)) without a list of arguments")
    }
    try charge(arguments.count)
    let wrongArguments = FileError("the pickle gives \(name) arguments that make no sense")
    switch global {
    case .rebuildTensor, .rebuildTensorVersion2, .rebuildTensorVersion3:
      guard let tensor = try tensor(global, arguments) else { throw wrongArguments }
      return tensor
    case .rebuildParameter, .rebuildParameterWithState:
      switch arguments.first {
      case .tensor?, .skipped?: return arguments[0]
      default: throw wrongArguments
      }
    case .rebuildFromType:
      // (function, type, arguments of the function, attributes)
      guard arguments.count == 4, case .global(let inner) = arguments[0], globals[Int(inner)].global != .rebuildFromType
      else { throw wrongArguments }
      return try call(arguments[0], arguments[2])
    case .orderedDictionary, .plainDictionary, .defaultDictionary, .namespace:
      let kind: PickleObject.Kind =
        global == .namespace ? .namespace : global == .orderedDictionary ? .orderedDictionary : .dictionary
      var contents = arguments
      if global == .defaultDictionary, !contents.isEmpty { contents.removeFirst() }
      guard contents.count <= 1 else { throw wrongArguments }
      guard let content = contents.first else { return try makeObject(kind) }
      return try makeObject(kind, try pairs(content))
    case .list, .tuple, .set, .frozenSet, .size:
      let kind: PickleObject.Kind = global == .list ? .list : global == .tuple || global == .size ? .tuple : .set
      guard arguments.count <= 1 else { throw wrongArguments }
      guard let argument = arguments.first else { return try makeObject(kind) }
      guard let contents = elements(argument) else { throw wrongArguments }
      return try makeObject(kind, contents)
    case .bytes, .byteArray, .encode:
      return try bytes(global, arguments) ?? { throw wrongArguments }()
    case .device:
      guard case .text(let kind)? = arguments.first, kind.count < 64 else { throw wrongArguments }
      return arguments[0]
    case .reconstructor:
      // (class, object, None): how protocols 0 and 1 make an object without calling its class.
      guard arguments.count == 3, case .global(let type) = arguments[0] else { throw wrongArguments }
      return globals[Int(type)].global == .namespace
        ? try makeObject(.namespace) : try skip(globals[Int(type)].name)
    case .numpyType:
      guard case .text? = arguments.first else { throw wrongArguments }
      return try makeObject(.numpyType, [arguments[0]])
    case .numpyScalar: return try numpyScalar(arguments) ?? skip(name)
    case .storage, .foreignStorage, .untypedStorage, .dataType, .tensorType, .unknown, .foreignTensor:
      return try skip(name)
    }
  }

  /// Alternating keys and values, from a dictionary or a list of pairs.
  private mutating func pairs(_ item: PickleItem) throws -> [PickleItem] {
    if let items = elements(item, [.dictionary, .orderedDictionary]) { return items }
    guard let items = elements(item) else { throw FileError("the pickle makes a dictionary of something else") }
    var result: [PickleItem] = []
    for item in items {
      guard let pair = elements(item, [.tuple, .list]), pair.count == 2 else {
        throw FileError("the pickle makes a dictionary of something else than pairs")
      }
      try charge(2)
      result += pair
    }
    return result
  }

  private mutating func bytes(_ global: PickleGlobal, _ arguments: [PickleItem]) throws -> PickleItem? {
    switch arguments.first {
    case nil where global != .encode: return .bytes(PickleSlice(start: 0, count: 0))
    case .bytes?, .blob(_, isInteger: false)?: return global == .encode ? nil : arguments[0]
    case .text(let slice)? where arguments.count == 2:
      // Protocol 2 spells bytes as text whose characters are the bytes ("latin1").
      guard ["latin1", "latin-1", "iso-8859-1"].contains(where: { isText(arguments[1], $0) }) else { return nil }
      try charge(Int(slice.count) / 8)
      try chargeObject()
      // An element takes 16 bytes.
      try chargeElements(Int(slice.count) / 16)
      var bytes: [UInt8] = []
      for scalar in text(in: slice)?.unicodeScalars ?? .init() {
        guard let byte = UInt8(exactly: scalar.value) else { return nil }
        bytes.append(byte)
      }
      blobs.append(bytes)
      return .blob(Int32(blobs.count - 1), isInteger: false)
    default: return nil
    }
  }

  /// A NumPy number as a number; nil for one of a type that is not known here.
  private func numpyScalar(_ arguments: [PickleItem]) throws -> PickleItem? {
    guard arguments.count == 2, let bytes = try bytes(of: arguments[1]), bytes.count <= 8,
      let type = elements(arguments[0], [.numpyType]), let code = type.first.flatMap(text(of:)), code.utf8.count < 16,
      let scalarType = ScalarType(numpyDescriptor: code) ?? ScalarType(numpyDescriptor: "<\(code)"),
      bytes.count == scalarType.byteWidth
    else { return nil }
    let isBigEndian = type.count > 1 && isText(type[1], ">")
    let tensor = try StoredTensor(
      scalarType: scalarType, shape: [], bytes: isBigEndian ? bytes.reversed() : bytes)
    if scalarType == .bool { return .bool(try tensor.integers() == [1]) }
    if scalarType.isFloatingPoint { return try tensor.doubles().first.map { .double($0) } }
    return (try? tensor.integers())?.first.map { .int($0) }
  }

  // MARK: Tensors

  private mutating func tensor(_ global: PickleGlobal, _ arguments: [PickleItem]) throws -> PickleItem? {
    guard arguments.count >= 4, arguments.count <= 9 else { return nil }
    // A storage that could not be read, for example one of complex numbers.
    if case .skipped = arguments[0] { return arguments[0] }
    guard case .storage(let index) = arguments[0], case .int(let offset) = arguments[1],
      let shape = integers(arguments[2]), let strides = integers(arguments[3])
    else { return nil }
    let scalarType: ScalarType
    switch (storages[Int(index)].numbers, global) {
    case (.foreign(let numbers), _): return try skip("a tensor of \(numbers.name) numbers", isTensor: true)
    case (_, .rebuildTensorVersion3):
      guard arguments.count >= 7, case .global(let type) = arguments[6] else { return nil }
      guard case .dataType(let known) = globals[Int(type)].global else {
        return try skip("a tensor of type \(globals[Int(type)].name)", isTensor: true)
      }
      scalarType = known
    case (.type(let type), _): scalarType = type
    case (.untyped, _): throw FileError("the pickle holds a tensor whose type it does not say")
    }
    // PyTorch's last argument exists only for tensors whose elements are not those of the storage: negated, conjugated.
    let metadata = global == .rebuildTensorVersion3 ? 7 : 6
    guard arguments.count <= metadata || isNothing(arguments[metadata]) else {
      return try skip("a negated or conjugated tensor", isTensor: true)
    }
    try chargeObject()
    guard tensors.count < FileLimits.tensors else {
      throw FileError("the pickle holds more than \(FileLimits.tensors) tensors, far more than any checkpoint")
    }
    tensors.append(
      TensorReference(storage: index, scalarType: scalarType, offset: offset, shape: shape, strides: strides))
    return .tensor(Int32(tensors.count - 1))
  }

  /// Whether an argument is None or an empty dictionary.
  private func isNothing(_ item: PickleItem) -> Bool {
    if case PickleItem.none = item { return true }
    guard case .object(let index) = item else { return false }
    return objects[Int(index)].items.isEmpty
  }

  /// What a reference to something outside the pickle means: a storage, or a class with its source text.
  mutating func persistent(_ item: PickleItem) throws -> PickleItem {
    // The old format stores ("module", class, source file, source text) with a model that was saved whole.
    if let parts = elements(item, [.tuple]), parts.count == 4, isText(parts[0], "module") { return parts[1] }
    return try storageReference(item)
  }

  /// Reads `("storage", class, key, device, count)`; the old format adds a view, which must be `None`.
  private mutating func storageReference(_ item: PickleItem) throws -> PickleItem {
    guard let parts = elements(item, [.tuple]), parts.count == 5 || parts.count == 6, isText(parts[0], "storage"),
      case .global(let type) = parts[1], case .text(let key) = parts[2], case .int(let count) = parts[4], count >= 0,
      key.count <= 256
    else {
      throw FileError("the pickle refers to a storage in a way that PyTorch never does")
    }
    if parts.count == 6 {
      guard case .none = parts[5] else {
        throw FileError("the pickle uses a view of a storage, which is not supported")
      }
    }
    let numbers: StorageReference.Numbers
    switch globals[Int(type)].global {
    case .storage(let type): numbers = .type(type)
    case .untypedStorage: numbers = .untyped
    case .foreignStorage(let foreign): numbers = .foreign(foreign)
    case .unknown: return try skip("a storage of the class \(globals[Int(type)].name)", isTensor: true)
    default: throw FileError("the pickle refers to a storage in a way that PyTorch never does")
    }
    guard !count.multipliedReportingOverflow(by: numbers.byteWidth).overflow else {
      throw FileError("the pickle claims a storage of \(count) elements, larger than any memory")
    }
    try chargeObject()
    storages.append(StorageReference(key: key, numbers: numbers, count: count))
    return .storage(Int32(storages.count - 1))
  }

  // MARK: State

  /// Gives the object on top of the stack its state: the attributes of a namespace, the byte order of a NumPy type.
  /// Other attributes, such as `_metadata` of an `OrderedDict`, are discarded.
  mutating func build(_ state: PickleItem) throws {
    let target = try pop()
    try push(target)
    switch target {
    case .tensor, .skipped, .global: return
    case .object(let index):
      switch objects[Int(index)].kind {
      case .namespace:
        let attributes = try pairs(state)
        try chargeElements(attributes.count)
        objects[Int(index)].items += attributes
      case .numpyType:
        guard let fields = elements(state, [.tuple]), fields.count >= 2 else { break }
        objects[Int(index)].items = [objects[Int(index)].items[0], fields[1]]
      default: break
      }
    default: throw FileError("the pickle sets the state of something that has none")
    }
  }
}
