// What a pickle holds once it has been read: plain values and tensors, as a tree.
//
// Classes are reduced to what they contain (an `OrderedDict` or a `Namespace` is a dictionary, a `torch.Size` a tuple).
// Names such as `torch.float32` stay names, and an object of any other class is only mentioned. Nothing here can be
// called.

import MVARFiles

/// A value in a Python object tree.
public enum PickleValue: Sendable {
  /// Python's `None`.
  case none
  /// `True` or `False`.
  case bool(Bool)
  /// An integer that fits in 64 bits.
  case int(Int)
  /// An integer that does not fit in 64 bits: little-endian two's complement.
  case bigInteger([UInt8])
  /// A floating-point number.
  case double(Double)
  /// Text.
  case string(String)
  /// Raw bytes.
  case bytes([UInt8])
  /// A list.
  case list([PickleValue])
  /// A tuple, or a `torch.Size`.
  case tuple([PickleValue])
  /// A set or frozen set, in file order.
  case set([PickleValue])
  /// A dictionary in file order: `dict`, `OrderedDict`, `defaultdict` or `argparse.Namespace`.
  case dictionary([(key: PickleValue, value: PickleValue)])
  /// A tensor.
  indirect case tensor(StoredTensor)
  /// The name of a type, for example `torch.float32`.
  case global(String)
  /// An object that is not read: of a class, or made by a function, without a meaning here.
  indirect case skipped(SkippedObject)

  /// The truth value, if this is one.
  public var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The integer, if this is one.
  public var int: Int? {
    if case .int(let value) = self { value } else { nil }
  }

  /// The number, integer or not, if this is one.
  public var double: Double? {
    switch self {
    case .double(let value): value
    case .int(let value): Double(value)
    default: nil
    }
  }

  /// The text, if this is text.
  public var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  /// The bytes, if these are bytes.
  public var bytes: [UInt8]? {
    if case .bytes(let value) = self { value } else { nil }
  }

  /// The elements of a list, tuple or set.
  public var elements: [PickleValue]? {
    switch self {
    case .list(let elements), .tuple(let elements), .set(let elements): elements
    default: nil
    }
  }

  /// The pairs of a dictionary, in file order.
  public var pairs: [(key: PickleValue, value: PickleValue)]? {
    if case .dictionary(let pairs) = self { pairs } else { nil }
  }

  /// The tensor, if this is one.
  public var tensor: StoredTensor? {
    if case .tensor(let value) = self { value } else { nil }
  }

  /// The value under a text key, if this is a dictionary that has it.
  public subscript(key: String) -> PickleValue? {
    pairs?.first { $0.key.string?.isExactly(key) == true }?.value
  }

  /// The value under an integer key of a dictionary, or at a position of a list or tuple.
  public subscript(index: Int) -> PickleValue? {
    if let pairs { return pairs.first { $0.key.int == index }?.value }
    guard let elements, elements.indices.contains(index) else { return nil }
    return elements[index]
  }

  /// Whether this is neither a tensor nor a container nor something that is not read.
  var isPlain: Bool {
    switch self {
    case .none, .bool, .int, .bigInteger, .double, .string, .bytes, .global: true
    case .list, .tuple, .set, .dictionary, .tensor, .skipped: false
    }
  }

  /// The word used for this kind of value in messages.
  var kindName: String {
    switch self {
    case .none: "None"
    case .bool: "a truth value"
    case .int, .bigInteger, .double: "a number"
    case .string: "text"
    case .bytes: "bytes"
    case .list: "a list"
    case .tuple: "a tuple"
    case .set: "a set"
    case .dictionary: "a dictionary"
    case .tensor: "a tensor"
    case .global: "a name"
    case .skipped(let object): object.name
    }
  }
}

/// An object in a file that is not read.
public struct SkippedObject: Sendable {
  /// The class or function that it takes, or the kind of tensor: `pathlib.PosixPath`, `a sparse tensor`.
  public let name: String
  /// Whether it is a tensor of a kind that is not supported.
  public let isTensor: Bool
  /// Whether its class or function is what is not known.
  private let isCall: Bool

  /// A tensor, or an object that a class or function without a meaning here would make.
  init(name: String, isTensor: Bool) {
    self.name = name
    self.isTensor = isTensor
    isCall = !isTensor
  }

  /// Something of no class.
  private init(name: String) {
    self.name = name
    isTensor = false
    isCall = false
  }

  /// A list or dictionary that holds itself, or something that does; Python can make and read such a one.
  static let containingItself = SkippedObject(name: "an object that contains itself")

  /// Why it is not read, in words that follow its own name and `is`.
  public var reason: String {
    isCall ? "made by \(excerpt(name)), which is never executed" : "\(excerpt(name)), which is not supported"
  }
}
