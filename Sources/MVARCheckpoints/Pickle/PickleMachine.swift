// Runs the stack language of Python pickles (protocols 0 to 5) far enough to rebuild plain values and tensors.
//
// Objects live in one flat array and refer to each other by index, so neither nesting nor cycles can exhaust the stack
// while they are built or released. Every instruction and every copied item is charged to a budget, so a small file
// cannot keep it busy for long. It calls nothing, imports nothing, and knows only the names in `PickleGlobal`.

import MVARFiles

/// A value on the machine's stack.
enum PickleItem {
  case none
  case bool(Bool)
  case int(Int)
  case bigInteger([UInt8])
  case double(Double)
  case string(String)
  case bytes([UInt8])
  case global(PickleGlobal, String)
  /// An index into `PickleMachine.objects`.
  case object(Int)
  /// An index into `PickleMachine.storages`.
  case storage(Int)
  /// An index into `PickleMachine.tensors`.
  case tensor(Int)
}

/// A container under construction.
struct PickleObject {
  enum Kind { case list, tuple, set, dictionary, orderedDictionary, namespace, numpyType }
  var kind: Kind
  /// The elements; for dictionaries, alternating keys and values.
  var items: [PickleItem]
}

/// A storage that the pickle refers to; its bytes are elsewhere in the file.
struct StorageReference {
  let key: String
  /// Nil for an untyped storage, whose count is in bytes.
  let scalarType: ScalarType?
  let count: Int
}

/// A tensor that the pickle describes.
struct TensorReference {
  let storage: StorageReference
  let scalarType: ScalarType
  let offset: Int
  let shape: [Int]
  let strides: [Int]
}

/// An interpreter for one pickle.
struct PickleMachine {
  /// Enough for the largest known training checkpoints twenty times over.
  static let largestBudget = 1 << 22

  var objects: [PickleObject] = []
  var storages: [StorageReference] = []
  var tensors: [TensorReference] = []
  var stack: [PickleItem] = []
  private var marks: [Int] = []
  private var memo: [Int: PickleItem] = [:]
  private var budget = largestBudget

  /// Runs the pickle at the cursor, which is then just past it.
  ///
  /// - Returns: the value that the pickle produces.
  /// - Throws: `FileError` if the pickle is malformed, too large, or names anything but tensor rebuilding.
  mutating func run(_ cursor: inout ByteCursor) throws -> PickleItem {
    while true {
      try charge(1)
      let opcode = try cursor.readByte()
      if opcode == UInt8(ascii: ".") { return try pop() }
      if try runConstant(opcode, &cursor) { continue }
      if try runContainer(opcode) { continue }
      if try runMemo(opcode, &cursor) { continue }
      try runNamesAndCalls(opcode, &cursor)
    }
  }

  // MARK: Budget and stack

  /// Counts work done; a file that requires too much is refused.
  mutating func charge(_ amount: Int) throws {
    guard amount <= budget else {
      throw FileError("the pickle takes more than \(Self.largestBudget) steps, far more than any checkpoint")
    }
    budget -= amount
  }

  mutating func push(_ item: PickleItem) { stack.append(item) }

  mutating func pop() throws -> PickleItem {
    guard stack.count > (marks.last ?? 0), let item = stack.popLast() else {
      throw FileError("the pickle takes a value from an empty stack")
    }
    return item
  }

  private mutating func popToMark() throws -> [PickleItem] {
    guard let mark = marks.popLast() else { throw FileError("the pickle uses a mark it never set") }
    let items = Array(stack[mark...])
    stack.removeSubrange(mark...)
    return items
  }

  mutating func makeObject(_ kind: PickleObject.Kind, _ items: [PickleItem] = []) -> PickleItem {
    objects.append(PickleObject(kind: kind, items: items))
    return .object(objects.count - 1)
  }

  /// The index of the container on top of the stack, which stays there.
  private func containerOnTop(_ kinds: [PickleObject.Kind]) throws -> Int {
    guard stack.count > (marks.last ?? 0), case .object(let index)? = stack.last, kinds.contains(objects[index].kind)
    else {
      throw FileError("the pickle adds elements to something that is not a container")
    }
    return index
  }

  // MARK: Instructions

  private mutating func runConstant(_ opcode: UInt8, _ cursor: inout ByteCursor) throws -> Bool {
    switch opcode {
    case UInt8(ascii: "N"): push(.none)
    case 0x88: push(.bool(true))
    case 0x89: push(.bool(false))
    case UInt8(ascii: "K"): push(.int(Int(try cursor.readByte())))
    case UInt8(ascii: "M"): push(.int(Int(try cursor.read(UInt16.self))))
    case UInt8(ascii: "J"): push(.int(Int(try cursor.read(Int32.self))))
    case 0x8a: push(integer(try cursor.readBytes(Int(try cursor.readByte()))))
    case 0x8b: push(integer(try cursor.readBytes(Int(try cursor.read(UInt32.self)))))
    case UInt8(ascii: "G"): push(.double(Double(bitPattern: UInt64(bigEndian: try cursor.read()))))
    case UInt8(ascii: "I"), UInt8(ascii: "L"), UInt8(ascii: "F"): push(try number(try cursor.readLine(), opcode))
    case UInt8(ascii: "X"): push(.string(try cursor.readText(Int(try cursor.read(UInt32.self)))))
    case 0x8c: push(.string(try cursor.readText(Int(try cursor.readByte()))))
    case 0x8d: push(.string(try cursor.readText(try cursor.readLength())))
    case UInt8(ascii: "V"), UInt8(ascii: "S"): push(.string(try plainText(try cursor.readLine(), opcode)))
    case UInt8(ascii: "U"): push(text(try cursor.readBytes(Int(try cursor.readByte()))))
    case UInt8(ascii: "T"): push(text(try cursor.readBytes(Int(try cursor.read(UInt32.self)))))
    case UInt8(ascii: "C"): push(.bytes(try cursor.readBytes(Int(try cursor.readByte()))))
    case UInt8(ascii: "B"): push(.bytes(try cursor.readBytes(Int(try cursor.read(UInt32.self)))))
    case 0x8e, 0x96: push(.bytes(try cursor.readBytes(try cursor.readLength())))
    case 0x80:
      let version = try cursor.readByte()
      guard version <= 5 else { throw FileError("the pickle has protocol \(version); 0 to 5 are known") }
    case 0x95: _ = try cursor.readLength()  // a frame: only a hint for buffering
    default: return false
    }
    return true
  }

  private mutating func runContainer(_ opcode: UInt8) throws -> Bool {
    switch opcode {
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "0"):
      // A mark on top counts as a value to discard.
      if let mark = marks.last, mark == stack.count { marks.removeLast() } else { _ = try pop() }
    case UInt8(ascii: "1"): _ = try popToMark()
    case UInt8(ascii: "2"):
      let item = try pop()
      push(item)
      push(item)
    case UInt8(ascii: "]"): push(makeObject(.list))
    case UInt8(ascii: "}"): push(makeObject(.dictionary))
    case UInt8(ascii: ")"): push(makeObject(.tuple))
    case 0x8f: push(makeObject(.set))
    case UInt8(ascii: "l"): push(makeObject(.list, try popToMark()))
    case UInt8(ascii: "t"): push(makeObject(.tuple, try popToMark()))
    case 0x91: push(makeObject(.set, try popToMark()))
    case UInt8(ascii: "d"):
      let items = try popToMark()
      try checkPairs(items)
      push(makeObject(.dictionary, items))
    case 0x85, 0x86, 0x87:
      var items: [PickleItem] = []
      for _ in 0..<(opcode - 0x84) { items.append(try pop()) }
      push(makeObject(.tuple, items.reversed()))
    case UInt8(ascii: "a"):
      let item = try pop()
      objects[try containerOnTop([.list])].items.append(item)
    case UInt8(ascii: "e"):
      let items = try popToMark()
      objects[try containerOnTop([.list])].items.append(contentsOf: items)
    case 0x90:
      let items = try popToMark()
      objects[try containerOnTop([.set])].items.append(contentsOf: items)
    case UInt8(ascii: "s"):
      let value = try pop()
      let key = try pop()
      objects[try containerOnTop([.dictionary, .orderedDictionary])].items.append(contentsOf: [key, value])
    case UInt8(ascii: "u"):
      let items = try popToMark()
      try checkPairs(items)
      objects[try containerOnTop([.dictionary, .orderedDictionary])].items.append(contentsOf: items)
    default: return false
    }
    return true
  }

  private func checkPairs(_ items: [PickleItem]) throws {
    guard items.count.isMultiple(of: 2) else { throw FileError("the pickle holds a key without a value") }
  }

  private mutating func runMemo(_ opcode: UInt8, _ cursor: inout ByteCursor) throws -> Bool {
    switch opcode {
    case UInt8(ascii: "p"): try remember(try memoIndex(try cursor.readLine()))
    case UInt8(ascii: "q"): try remember(Int(try cursor.readByte()))
    case UInt8(ascii: "r"): try remember(Int(try cursor.read(UInt32.self)))
    case 0x94: try remember(memo.count)
    case UInt8(ascii: "g"): try recall(try memoIndex(try cursor.readLine()))
    case UInt8(ascii: "h"): try recall(Int(try cursor.readByte()))
    case UInt8(ascii: "j"): try recall(Int(try cursor.read(UInt32.self)))
    default: return false
    }
    return true
  }

  private func memoIndex(_ text: String) throws -> Int {
    guard let index = Int(text), index >= 0 else { throw FileError("the pickle holds a malformed memo index") }
    return index
  }

  private mutating func remember(_ index: Int) throws {
    let item = try pop()
    push(item)
    memo[index] = item
  }

  private mutating func recall(_ index: Int) throws {
    guard let item = memo[index] else {
      throw FileError("the pickle recalls value \(index), which it never stored")
    }
    push(item)
  }

  private mutating func runNamesAndCalls(_ opcode: UInt8, _ cursor: inout ByteCursor) throws {
    switch opcode {
    case UInt8(ascii: "c"):
      let module = try cursor.readLine()
      let name = try cursor.readLine()
      push(.global(try PickleGlobal(module: module, name: name), "\(module).\(name)"))
    case 0x93:
      guard case .string(let name) = try pop(), case .string(let module) = try pop() else {
        throw FileError("the pickle names something without using text")
      }
      try charge((module.utf8.count + name.utf8.count) / 16)
      push(.global(try PickleGlobal(module: module, name: name), "\(module).\(name)"))
    case UInt8(ascii: "R"), 0x81:
      let arguments = try pop()
      let callee = try pop()
      push(try call(callee, arguments, isNew: opcode == 0x81))
    case UInt8(ascii: "b"):
      let state = try pop()
      try build(state)
    case UInt8(ascii: "Q"): push(try storageReference(try pop()))
    case UInt8(ascii: "i"):
      let module = try cursor.readLine()
      let name = try cursor.readLine()
      _ = try PickleGlobal(module: module, name: name)
      throw FileError("the pickle makes \(excerpt("\(module).\(name)")) in a way that PyTorch never uses")
    default:
      throw FileError(
        "the pickle uses instruction 0x\(String(opcode, radix: 16)) at byte \(cursor.position - 1), which PyTorch never does"
      )
    }
  }

  // MARK: Literals

  private func integer(_ bytes: [UInt8]) -> PickleItem {
    // Redundant sign bytes may pad a small number.
    guard let last = bytes.last else { return .int(0) }
    let fill: UInt8 = last >= 0x80 ? 0xff : 0
    guard bytes.count <= 8 || (bytes[8...].allSatisfy { $0 == fill } && (bytes[7] >= 0x80) == (last >= 0x80)) else {
      return .bigInteger(bytes)
    }
    var value: UInt64 = 0
    for index in 0..<8 { value |= UInt64(index < bytes.count ? bytes[index] : fill) << UInt64(8 * index) }
    return .int(Int(truncatingIfNeeded: Int64(bitPattern: value)))
  }

  private func number(_ line: String, _ opcode: UInt8) throws -> PickleItem {
    if opcode == UInt8(ascii: "F"), let value = Double(line) { return .double(value) }
    if opcode == UInt8(ascii: "I"), line == "01" || line == "00" { return .bool(line == "01") }
    let digits = opcode == UInt8(ascii: "L") && line.hasSuffix("L") ? String(line.dropLast()) : line
    if opcode != UInt8(ascii: "F"), let value = Int(digits) { return .int(value) }
    if opcode == UInt8(ascii: "L"), let bytes = Self.bigInteger(digits) { return .bigInteger(bytes) }
    throw FileError("the pickle holds the malformed number \"\(excerpt(line, limit: 40))\"")
  }

  /// A decimal number of up to a hundred digits in little-endian two's complement; nil if it is malformed.
  private static func bigInteger(_ text: String) -> [UInt8]? {
    let isNegative = text.hasPrefix("-")
    let digits = text.utf8.dropFirst(isNegative ? 1 : 0)
    guard !digits.isEmpty, digits.count <= 100, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    // A hundred digits and the sign fit in 43 bytes.
    var bytes = [UInt8](repeating: 0, count: 43)
    for digit in digits {
      var carry = Int(digit - 0x30)
      for index in bytes.indices {
        carry += Int(bytes[index]) * 10
        bytes[index] = UInt8(carry & 0xff)
        carry >>= 8
      }
    }
    if isNegative {
      var carry = 1
      for index in bytes.indices {
        carry += Int(~bytes[index])
        bytes[index] = UInt8(carry & 0xff)
        carry >>= 8
      }
    }
    return bytes
  }

  private func plainText(_ line: String, _ opcode: UInt8) throws -> String {
    var text = Substring(line)
    if opcode == UInt8(ascii: "S") {
      guard text.count >= 2, let quote = text.first, quote == "'" || quote == "\"", text.last == quote else {
        throw FileError("the pickle holds text without quotes")
      }
      text = text.dropFirst().dropLast()
    }
    guard !text.utf8.contains(UInt8(ascii: "\\")) else {
      throw FileError("the pickle holds escaped text of protocol 0, which is not supported")
    }
    return String(text)
  }

  /// Text of Python 2, which had one type for text and bytes.
  private func text(_ bytes: [UInt8]) -> PickleItem {
    String(validating: bytes, as: UTF8.self).map { .string($0) } ?? .bytes(bytes)
  }
}
