// Runs the stack language of Python pickles (protocols 0 to 5) far enough to rebuild plain values and tensors.
//
// Objects live in flat arrays and refer to each other by index, so neither nesting nor cycles can exhaust the stack
// while they are built or released. Every instruction is charged to a budget of time, every object and element to a
// budget of memory. It calls nothing, imports nothing, and gives a meaning only to the names in `PickleGlobal`; what any
// other name would make becomes one skipped object, whatever is put into it.

import MVARFiles

/// An interpreter for one pickle.
struct PickleMachine {
  /// Where the pickle is; slices of texts and bytes refer to it.
  let region: ByteRegion
  var objects: [PickleObject] = []
  var globals: [(global: PickleGlobal, name: String)] = []
  var storages: [StorageReference] = []
  var tensors: [TensorReference] = []
  var skipped: [SkippedObject] = []
  var blobs: [[UInt8]] = []
  var stack: [PickleItem] = []
  private var marks: [Int] = []
  private var memo: [PickleItem?] = []
  private var memoCount = 0
  private var steps = FileLimits.pickleSteps
  private var objectBudget = FileLimits.pickleObjects
  private var elementBudget = FileLimits.pickleElements

  init(_ region: ByteRegion) { self.region = region }

  /// Runs the pickle at the cursor, which is then just past it.
  ///
  /// - Parameter cursor: a position in the machine's region.
  /// - Returns: the value that the pickle produces.
  /// - Throws: `FileError` if the pickle is malformed or too large.
  mutating func run(_ cursor: inout ByteCursor) throws -> PickleItem {
    while true {
      try charge(1)
      let opcode = try cursor.readByte()
      if opcode == UInt8(ascii: ".") { return try pop() }
      if try runConstant(opcode, &cursor) { continue }
      if try runContainer(opcode) { continue }
      if try runMemo(opcode, &cursor) { continue }
      try runNamesAndCalls(opcode, &cursor)
      guard stack.count <= FileLimits.pickleElements else { throw Self.tooLarge }
    }
  }

  // MARK: Budgets and stack

  private static let tooLarge = FileError("the pickle holds far more objects than any checkpoint; the file is refused")

  /// Counts work done; a file that requires too much is refused.
  mutating func charge(_ amount: Int) throws {
    guard amount <= steps else {
      throw FileError("the pickle takes more than \(FileLimits.pickleSteps) steps, far more than any checkpoint")
    }
    steps -= amount
  }

  /// Counts objects, each in one of the arrays.
  mutating func chargeObject() throws {
    guard objectBudget > 0 else { throw Self.tooLarge }
    objectBudget -= 1
  }

  /// Counts elements of containers.
  mutating func chargeElements(_ count: Int) throws {
    guard count <= elementBudget else { throw Self.tooLarge }
    elementBudget -= count
  }

  mutating func push(_ item: PickleItem) throws {
    guard stack.count < FileLimits.pickleElements else { throw Self.tooLarge }
    stack.append(item)
  }

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

  mutating func makeObject(_ kind: PickleObject.Kind, _ items: [PickleItem] = []) throws -> PickleItem {
    try chargeObject()
    try chargeElements(items.count)
    objects.append(PickleObject(kind: kind, items: items))
    return .object(Int32(objects.count - 1))
  }

  mutating func makeGlobal(module: String, name: String) throws -> PickleItem {
    try chargeObject()
    // An element takes 16 bytes.
    try chargeElements((module.utf8.count + name.utf8.count) / 16)
    globals.append((PickleGlobal(module: module, name: name), "\(module).\(name)"))
    return .global(Int32(globals.count - 1))
  }

  mutating func skip(_ name: String, isTensor: Bool = false) throws -> PickleItem {
    try chargeObject()
    skipped.append(SkippedObject(name: name, isTensor: isTensor))
    return .skipped(Int32(skipped.count - 1))
  }

  /// Adds elements to the container on top of the stack, which stays there; what a skipped object is given is dropped.
  private mutating func extend(_ kinds: [PickleObject.Kind], with items: [PickleItem]) throws {
    guard stack.count > (marks.last ?? 0) else { throw Self.noContainer }
    switch stack.last {
    case .skipped: return
    case .object(let index) where kinds.contains(objects[Int(index)].kind):
      try chargeElements(items.count)
      objects[Int(index)].items.append(contentsOf: items)
    default: throw Self.noContainer
    }
  }

  private static let noContainer = FileError("the pickle adds elements to something that is not a container")

  // MARK: Instructions

  private mutating func runConstant(_ opcode: UInt8, _ cursor: inout ByteCursor) throws -> Bool {
    switch opcode {
    case UInt8(ascii: "N"): try push(.none)
    case 0x88: try push(.bool(true))
    case 0x89: try push(.bool(false))
    case UInt8(ascii: "K"): try push(.int(Int(try cursor.readByte())))
    case UInt8(ascii: "M"): try push(.int(Int(try cursor.read(UInt16.self))))
    case UInt8(ascii: "J"): try push(.int(Int(try cursor.read(Int32.self))))
    case 0x8a: try push(integer(try slice(Int(try cursor.readByte()), &cursor)))
    case 0x8b: try push(integer(try slice(Int(try cursor.read(UInt32.self)), &cursor)))
    case UInt8(ascii: "G"): try push(.double(Double(bitPattern: UInt64(bigEndian: try cursor.read()))))
    case UInt8(ascii: "I"), UInt8(ascii: "L"), UInt8(ascii: "F"): try push(try number(try cursor.readLine(), opcode))
    case UInt8(ascii: "X"): try push(.text(try text(Int(try cursor.read(UInt32.self)), &cursor)))
    case 0x8c: try push(.text(try text(Int(try cursor.readByte()), &cursor)))
    case 0x8d: try push(.text(try text(try cursor.readLength(), &cursor)))
    case UInt8(ascii: "V"), UInt8(ascii: "S"): try push(.text(try plainText(opcode, &cursor)))
    case UInt8(ascii: "U"): try push(try textOrBytes(Int(try cursor.readByte()), &cursor))
    case UInt8(ascii: "T"): try push(try textOrBytes(Int(try cursor.read(UInt32.self)), &cursor))
    case UInt8(ascii: "C"): try push(.bytes(try slice(Int(try cursor.readByte()), &cursor)))
    case UInt8(ascii: "B"): try push(.bytes(try slice(Int(try cursor.read(UInt32.self)), &cursor)))
    case 0x8e, 0x96: try push(.bytes(try slice(try cursor.readLength(), &cursor)))
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
    case UInt8(ascii: "("):
      guard marks.count < FileLimits.pickleElements else { throw Self.tooLarge }
      marks.append(stack.count)
    case UInt8(ascii: "0"):
      // A mark on top counts as a value to discard.
      if let mark = marks.last, mark == stack.count { marks.removeLast() } else { _ = try pop() }
    case UInt8(ascii: "1"): _ = try popToMark()
    case UInt8(ascii: "2"):
      let item = try pop()
      try push(item)
      try push(item)
    case UInt8(ascii: "]"): try push(makeObject(.list))
    case UInt8(ascii: "}"): try push(makeObject(.dictionary))
    case UInt8(ascii: ")"): try push(makeObject(.tuple))
    case 0x8f: try push(makeObject(.set))
    case UInt8(ascii: "l"): try push(makeObject(.list, try popToMark()))
    case UInt8(ascii: "t"): try push(makeObject(.tuple, try popToMark()))
    case 0x91: try push(makeObject(.set, try popToMark()))
    case UInt8(ascii: "d"):
      let items = try popToMark()
      try checkPairs(items)
      try push(makeObject(.dictionary, items))
    case 0x85, 0x86, 0x87:
      var items: [PickleItem] = []
      for _ in 0..<(opcode - 0x84) { items.append(try pop()) }
      try push(makeObject(.tuple, items.reversed()))
    case UInt8(ascii: "a"):
      let item = try pop()
      try extend([.list], with: [item])
    case UInt8(ascii: "e"): try extend([.list], with: try popToMark())
    case 0x90: try extend([.set], with: try popToMark())
    case UInt8(ascii: "s"):
      let value = try pop()
      let key = try pop()
      try extend([.dictionary, .orderedDictionary], with: [key, value])
    case UInt8(ascii: "u"):
      let items = try popToMark()
      try checkPairs(items)
      try extend([.dictionary, .orderedDictionary], with: items)
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
    case 0x94: try remember(memoCount)
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
    try push(item)
    // Python numbers the values that it stores from 0 or 1 on.
    guard index < FileLimits.pickleElements else { throw Self.tooLarge }
    while memo.count <= index { memo.append(nil) }
    if memo[index] == nil { memoCount += 1 }
    memo[index] = item
  }

  private mutating func recall(_ index: Int) throws {
    guard index < memo.count, let item = memo[index] else {
      throw FileError("the pickle recalls value \(index), which it never stored")
    }
    try push(item)
  }

  private mutating func runNamesAndCalls(_ opcode: UInt8, _ cursor: inout ByteCursor) throws {
    switch opcode {
    case UInt8(ascii: "c"):
      let module = try cursor.readLine()
      try push(makeGlobal(module: module, name: try cursor.readLine()))
    case 0x93:
      guard let name = text(of: try pop()), let module = text(of: try pop()) else {
        throw FileError("the pickle names something without using text")
      }
      guard module.utf8.count <= 4096, name.utf8.count <= 4096 else { throw Self.tooLarge }
      try push(makeGlobal(module: module, name: name))
    case UInt8(ascii: "R"), 0x81:
      let arguments = try pop()
      let callee = try pop()
      try push(try call(callee, arguments))
    case 0x92:
      // A class, its arguments, and more arguments with names: no class that is known here has those.
      _ = try pop()
      _ = try pop()
      try push(skip(name(of: try pop())))
    case UInt8(ascii: "i"):
      let module = try cursor.readLine()
      let name = try cursor.readLine()
      _ = try popToMark()
      let type = try makeGlobal(module: module, name: name)
      try push(skip(self.name(of: type)))
    case UInt8(ascii: "o"):
      guard let type = try popToMark().first else { throw FileError("the pickle makes an object of no class") }
      try push(skip(name(of: type)))
    case 0x82: try push(skip("extension \(try cursor.readByte()) of Python's registry"))
    case 0x83: try push(skip("extension \(try cursor.read(UInt16.self)) of Python's registry"))
    case 0x84: try push(skip("extension \(try cursor.read(UInt32.self)) of Python's registry"))
    case UInt8(ascii: "b"):
      let state = try pop()
      try build(state)
    case UInt8(ascii: "Q"): try push(try persistent(try pop()))
    default:
      throw FileError(
        "the pickle uses instruction 0x\(String(opcode, radix: 16)) at byte \(cursor.position - 1), which PyTorch never does"
      )
    }
  }

  /// The name of a class or function, for an object that is skipped.
  func name(of item: PickleItem) throws -> String {
    switch item {
    case .global(let index): globals[Int(index)].name
    case .skipped(let index): skipped[Int(index)].name
    default: throw FileError("the pickle calls something that is not a function")
    }
  }
}
