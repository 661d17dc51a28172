// The names that mean something here, all of them harmless, and what each means.
//
// A pickle is a program that can name any Python function. The names in this list are not called: they select a few
// lines of Swift in `PickleMachine+Calls.swift`. Any other name stays a name, and what it would have made is skipped:
// an error only where a tensor is wanted that depends on it.

import MVARFiles

/// A name that this module understands.
enum PickleGlobal: Equatable, Sendable {
  case rebuildTensor, rebuildTensorVersion2, rebuildTensorVersion3
  case rebuildParameter, rebuildParameterWithState, rebuildFromType
  case storage(ScalarType)
  /// A storage of numbers that no tensor here can hold.
  case foreignStorage(ForeignNumbers)
  case untypedStorage
  case dataType(ScalarType)
  /// A way to make a tensor that is not supported: `a sparse tensor`.
  case foreignTensor(String)
  case tensorType
  case size, device
  case orderedDictionary, defaultDictionary, namespace, plainDictionary
  case list, tuple, set, frozenSet, bytes, byteArray
  case encode
  case reconstructor
  case numpyScalar, numpyType
  /// A name without a meaning here.
  case unknown

  /// The meaning of a name.
  init(module: String, name: String) {
    self = Self.known(module: module, name: name) ?? .unknown
  }

  private static func known(module: String, name: String) -> PickleGlobal? {
    switch module {
    case "torch._utils":
      switch name {
      case "_rebuild_tensor": .rebuildTensor
      case "_rebuild_tensor_v2": .rebuildTensorVersion2
      case "_rebuild_tensor_v3": .rebuildTensorVersion3
      case "_rebuild_parameter": .rebuildParameter
      case "_rebuild_parameter_with_state": .rebuildParameterWithState
      case "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor": .foreignTensor("a sparse tensor")
      case "_rebuild_qtensor": .foreignTensor("a quantized tensor")
      case "_rebuild_nested_tensor": .foreignTensor("a nested tensor")
      case "_rebuild_meta_tensor_no_storage": .foreignTensor("a tensor without values (of the device meta)")
      case "_rebuild_wrapper_subclass": .foreignTensor("a tensor of a class of its own")
      case "_rebuild_device_tensor_from_numpy", "_rebuild_device_tensor_from_cpu_tensor", "_rebuild_xla_tensor":
        .foreignTensor("a tensor of another kind of device")
      default: nil
      }
    case "torch._tensor": name == "_rebuild_from_type_v2" ? .rebuildFromType : nil
    case "torch.nn.parameter": name == "Parameter" || name == "Buffer" ? .tensorType : nil
    case "torch", "torch.storage", "torch.cuda":
      switch name {
      case "UntypedStorage", "TypedStorage", "_UntypedStorage", "_TypedStorage": .untypedStorage
      case "Size" where module == "torch": .size
      case "device" where module == "torch": .device
      case "Tensor" where module == "torch": .tensorType
      default:
        if let type = ScalarType(torchStorageName: name) {
          .storage(type)
        } else if let numbers = ForeignNumbers(torchStorageName: name) {
          .foreignStorage(numbers)
        } else if module == "torch", let type = ScalarType(torchName: name) {
          .dataType(type)
        } else {
          nil
        }
      }
    case "collections":
      switch name {
      case "OrderedDict": .orderedDictionary
      case "defaultdict": .defaultDictionary
      case "Counter": .plainDictionary
      default: nil
      }
    case "argparse": name == "Namespace" ? .namespace : nil
    case "_codecs": name == "encode" ? .encode : nil
    case "copyreg", "copy_reg": name == "_reconstructor" ? .reconstructor : nil
    case "numpy.core.multiarray", "numpy._core.multiarray": name == "scalar" ? .numpyScalar : nil
    case "numpy": name == "dtype" ? .numpyType : nil
    case "builtins", "__builtin__":
      switch name {
      case "dict": .plainDictionary
      case "list": .list
      case "tuple": .tuple
      case "set": .set
      case "frozenset": .frozenSet
      case "bytes": .bytes
      case "bytearray": .byteArray
      default: nil
      }
    default: nil
    }
  }
}

/// Numbers that PyTorch stores and that no tensor here can hold.
struct ForeignNumbers: Equatable, Sendable {
  /// What they are, in words: `complex64`.
  let name: String
  /// Bytes per element of the storage.
  let byteWidth: Int

  init?(torchStorageName name: String) {
    switch name {
    case "ComplexFloatStorage": self.init(name: "complex64", byteWidth: 8)
    case "ComplexDoubleStorage": self.init(name: "complex128", byteWidth: 16)
    case "QInt8Storage": self.init(name: "quantized qint8", byteWidth: 1)
    case "QUInt8Storage": self.init(name: "quantized quint8", byteWidth: 1)
    case "QInt32Storage": self.init(name: "quantized qint32", byteWidth: 4)
    case "QUInt4x2Storage": self.init(name: "quantized quint4x2", byteWidth: 1)
    case "QUInt2x4Storage": self.init(name: "quantized quint2x4", byteWidth: 1)
    default: return nil
    }
  }

  private init(name: String, byteWidth: Int) {
    self.name = name
    self.byteWidth = byteWidth
  }
}
