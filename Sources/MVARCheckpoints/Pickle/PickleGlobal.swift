// The names that a pickle may use, all of them harmless, and what each means here.
//
// A pickle is a program that can name any Python function. Any name that is not in this list is an error as soon as it
// appears, even if it would never be called; the names in the list are not called either: they select a few lines of
// Swift in `PickleMachine+Calls.swift`.

import MVARFiles

/// A name that this module understands.
enum PickleGlobal: Equatable, Sendable {
  case rebuildTensor, rebuildTensorVersion2, rebuildTensorVersion3
  case rebuildParameter, rebuildParameterWithState, rebuildFromType
  case storage(ScalarType)
  case untypedStorage
  case dataType(ScalarType)
  case tensorType
  case size, device
  case orderedDictionary, defaultDictionary, namespace, plainDictionary
  case list, tuple, set, frozenSet, bytes, byteArray
  case encode
  case reconstructor
  case numpyScalar, numpyType
  /// A type that may be mentioned (the default factory of a `defaultdict`) but not used.
  case inert

  /// The meaning of a name.
  ///
  /// - Throws: `FileError` that names it if it is not in the list.
  init(module: String, name: String) throws {
    guard let global = Self.known(module: module, name: name) else {
      let fullName = excerpt("\(module).\(name)")
      if module.hasPrefix("torch"), name.hasSuffix("Storage") {
        throw FileError("the pickle uses \(fullName), a kind of number that is not supported")
      }
      throw FileError(
        "the pickle names \(fullName), which is not a tensor-rebuilding function; nothing was executed")
    }
    self = global
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
      case "object", "int", "float", "str", "bool": .inert
      default: nil
      }
    default: nil
    }
  }
}
