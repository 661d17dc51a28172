// What the few permitted names do when a pickle "calls" them: describe a tensor, or make a plain container.
//
// The argument lists are those that PyTorch, collections, argparse and NumPy write; anything else is an error.
// Gradients, hooks and attributes attached to tensors are discarded.

import MVARFiles

extension PickleMachine {
  /// The elements of a tuple or list.
  private func elements(_ item: PickleItem, _ kinds: [PickleObject.Kind] = [.tuple, .list, .set]) -> [PickleItem]? {
    guard case .object(let index) = item, kinds.contains(objects[index].kind) else { return nil }
    return objects[index].items
  }

  private func integers(_ item: PickleItem) -> [Int]? {
    guard let items = elements(item, [.tuple, .list]), items.count <= Layout.largestRank else { return nil }
    var result: [Int] = []
    for case .int(let value) in items { result.append(value) }
    return result.count == items.count ? result : nil
  }

  // MARK: Calls

  /// The value that a permitted name makes from its arguments.
  mutating func call(_ callee: PickleItem, _ arguments: PickleItem, isNew: Bool) throws -> PickleItem {
    guard case .global(let global, let name) = callee else {
      throw FileError("the pickle calls something that is not a function")
    }
    guard let arguments = elements(arguments, [.tuple]) else {
      throw FileError("the pickle calls \(name) without a list of arguments")
    }
    try charge(arguments.count)
    let wrongArguments = FileError("the pickle gives \(name) arguments that make no sense")
    switch global {
    case .rebuildTensor, .rebuildTensorVersion2, .rebuildTensorVersion3:
      guard let tensor = try tensorReference(global, arguments) else { throw wrongArguments }
      tensors.append(tensor)
      return .tensor(tensors.count - 1)
    case .rebuildParameter, .rebuildParameterWithState:
      guard case .tensor? = arguments.first else { throw wrongArguments }
      return arguments[0]
    case .rebuildFromType:
      // (function, type, arguments of the function, attributes)
      guard arguments.count == 4, case .global(let inner, _) = arguments[0], inner != .rebuildFromType else {
        throw wrongArguments
      }
      return try call(arguments[0], arguments[2], isNew: false)
    case .orderedDictionary, .plainDictionary, .defaultDictionary, .namespace:
      let kind: PickleObject.Kind =
        global == .namespace ? .namespace : global == .orderedDictionary ? .orderedDictionary : .dictionary
      var contents = arguments
      if global == .defaultDictionary, !contents.isEmpty { contents.removeFirst() }
      guard contents.count <= 1 else { throw wrongArguments }
      guard let content = contents.first else { return makeObject(kind) }
      return makeObject(kind, try pairs(content))
    case .list, .tuple, .set, .frozenSet, .size:
      let kind: PickleObject.Kind = global == .list ? .list : global == .tuple || global == .size ? .tuple : .set
      guard arguments.count <= 1 else { throw wrongArguments }
      guard let argument = arguments.first else { return makeObject(kind) }
      guard let contents = elements(argument) else { throw wrongArguments }
      try charge(contents.count)
      return makeObject(kind, contents)
    case .bytes, .byteArray, .encode:
      return try bytes(global, arguments) ?? { throw wrongArguments }()
    case .device:
      guard case .string(let kind)? = arguments.first, kind.utf8.count < 64 else { throw wrongArguments }
      if arguments.count == 2, case .int(let index) = arguments[1] { return .string("\(kind):\(index)") }
      return .string(kind)
    case .reconstructor:
      // (class, object, None): how protocols 0 and 1 make an object without calling its class.
      guard arguments.count == 3, case .global(.namespace, _) = arguments[0], case .global(.inert, _) = arguments[1]
      else { throw wrongArguments }
      return makeObject(.namespace)
    case .numpyType:
      guard case .string? = arguments.first else { throw wrongArguments }
      return makeObject(.numpyType, [arguments[0]])
    case .numpyScalar:
      return try numpyScalar(arguments) ?? { throw wrongArguments }()
    case .storage, .untypedStorage, .dataType, .tensorType, .inert:
      throw FileError("the pickle calls \(name), which PyTorch never does")
    }
  }

  /// Alternating keys and values, from a dictionary or a list of pairs.
  private mutating func pairs(_ item: PickleItem) throws -> [PickleItem] {
    if let items = elements(item, [.dictionary, .orderedDictionary]) {
      try charge(items.count)
      return items
    }
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
    case nil where global != .encode: return .bytes([])
    case .bytes(let bytes)? where global != .encode: return .bytes(bytes)
    case .string(let text)? where arguments.count == 2:
      // Protocol 2 spells bytes as text whose characters are the bytes ("latin1").
      guard case .string(let encoding) = arguments[1], ["latin1", "latin-1", "iso-8859-1"].contains(encoding) else {
        return nil
      }
      try charge(text.utf8.count / 8)
      var bytes: [UInt8] = []
      for scalar in text.unicodeScalars {
        guard let byte = UInt8(exactly: scalar.value) else { return nil }
        bytes.append(byte)
      }
      return .bytes(bytes)
    default: return nil
    }
  }

  private func numpyScalar(_ arguments: [PickleItem]) throws -> PickleItem? {
    guard arguments.count == 2, case .bytes(let bytes) = arguments[1],
      let type = elements(arguments[0], [.numpyType]), case .string(let code)? = type.first, code.utf8.count < 16
    else { return nil }
    if type.count > 1, case .string(">") = type[1] {
      throw FileError("the pickle holds a big-endian NumPy number, which is not supported")
    }
    guard let scalarType = ScalarType(numpyDescriptor: code) ?? ScalarType(numpyDescriptor: "<\(code)") else {
      throw FileError("the pickle holds a NumPy number of the unsupported type \(excerpt(code, limit: 20))")
    }
    let tensor = try StoredTensor(scalarType: scalarType, shape: [], bytes: bytes)
    if scalarType == .bool { return .bool(try tensor.integers() == [1]) }
    if scalarType.isFloatingPoint { return try tensor.doubles().first.map { .double($0) } }
    return try tensor.integers().first.map { .int($0) }
  }

  // MARK: Tensors

  private func tensorReference(_ global: PickleGlobal, _ arguments: [PickleItem]) throws -> TensorReference? {
    guard arguments.count >= 4, arguments.count <= 9, case .storage(let index) = arguments[0],
      case .int(let offset) = arguments[1], let shape = integers(arguments[2]), let strides = integers(arguments[3])
    else { return nil }
    let storage = storages[index]
    var scalarType = storage.scalarType
    if global == .rebuildTensorVersion3 {
      guard arguments.count >= 7, case .global(.dataType(let type), _) = arguments[6] else { return nil }
      scalarType = type
    }
    guard let scalarType else {
      throw FileError("the pickle holds a tensor whose type it does not say")
    }
    return TensorReference(storage: storage, scalarType: scalarType, offset: offset, shape: shape, strides: strides)
  }

  /// Reads `("storage", class, key, device, count)`; the old format adds a view, which must be `None`.
  mutating func storageReference(_ item: PickleItem) throws -> PickleItem {
    guard let parts = elements(item, [.tuple]), parts.count == 5 || parts.count == 6,
      case .string("storage") = parts[0], case .global(let type, _) = parts[1], case .string(let key) = parts[2],
      case .int(let count) = parts[4], count >= 0, key.utf8.count <= 256
    else {
      throw FileError("the pickle refers to a storage in a way that PyTorch never does")
    }
    if parts.count == 6 {
      guard case .none = parts[5] else {
        throw FileError("the pickle uses a view of a storage, which is not supported")
      }
    }
    let scalarType: ScalarType?
    switch type {
    case .storage(let type): scalarType = type
    case .untypedStorage: scalarType = nil
    default: throw FileError("the pickle refers to a storage in a way that PyTorch never does")
    }
    guard !count.multipliedReportingOverflow(by: scalarType?.byteWidth ?? 1).overflow else {
      throw FileError("the pickle claims a storage of \(count) elements, larger than any memory")
    }
    storages.append(StorageReference(key: key, scalarType: scalarType, count: count))
    return .storage(storages.count - 1)
  }

  // MARK: State

  /// Gives the object on top of the stack its state: the attributes of a namespace, the byte order of a NumPy type.
  mutating func build(_ state: PickleItem) throws {
    let target = try pop()
    push(target)
    switch target {
    case .tensor: return
    case .object(let index):
      switch objects[index].kind {
      case .orderedDictionary: return  // attributes such as `_metadata`
      case .namespace:
        let attributes = try pairs(state)
        objects[index].items += attributes
        return
      case .numpyType:
        if let fields = elements(state, [.tuple]), fields.count >= 2 {
          try charge(fields.count)
          objects[index].items = [objects[index].items[0], fields[1]]
          return
        }
      default: break
      }
    default: break
    }
    throw FileError("the pickle sets the state of something that has none")
  }
}
