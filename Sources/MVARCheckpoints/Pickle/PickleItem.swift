// What a pickle machine works on: values of 16 bytes. Texts and bytes stay in the pickle, everything larger is in one of
// the machine's arrays and is referred to by its index.

/// A value on the machine's stack.
enum PickleItem {
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  /// UTF-8 in the pickle.
  case text(PickleSlice)
  /// Bytes in the pickle.
  case bytes(PickleSlice)
  /// An integer of more than 64 bits in the pickle, little-endian two's complement.
  case bigInteger(PickleSlice)
  /// An index into `PickleMachine.blobs`; the flag is set for an integer of more than 64 bits.
  case blob(Int32, isInteger: Bool)
  /// An index into `PickleMachine.globals`.
  case global(Int32)
  /// An index into `PickleMachine.objects`.
  case object(Int32)
  /// An index into `PickleMachine.storages`.
  case storage(Int32)
  /// An index into `PickleMachine.tensors`.
  case tensor(Int32)
  /// An index into `PickleMachine.skipped`.
  case skipped(Int32)
}

/// A part of the pickle.
struct PickleSlice: Hashable {
  let start: UInt32
  let count: UInt32
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
  /// What a storage holds.
  enum Numbers: Equatable {
    case type(ScalarType)
    /// Bytes, whose count it is.
    case untyped
    case foreign(ForeignNumbers)

    var byteWidth: Int {
      switch self {
      case .type(let type): type.byteWidth
      case .untyped: 1
      case .foreign(let numbers): numbers.byteWidth
      }
    }
  }
  let key: PickleSlice
  let numbers: Numbers
  let count: Int
}

/// A tensor that the pickle describes.
struct TensorReference {
  /// An index into `PickleMachine.storages`.
  let storage: Int32
  let scalarType: ScalarType
  let offset: Int
  /// Indices into `PickleMachine.objects`.
  let shape: Int32
  let strides: Int32
}
