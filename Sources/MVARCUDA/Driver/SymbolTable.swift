// The functions of CUDA's libraries, which are found by name.

import MVARFiles

/// Functions of a library by name, as C function pointers.
struct SymbolTable {
  /// The library's name in errors.
  let library: String
  /// The address of a symbol, or nil.
  let symbols: (String) -> UnsafeMutableRawPointer?

  /// The function with a name; its type is inferred from the context, and must be the one that the library's header
  /// declares.
  ///
  /// - Throws: `CUDAError.functionMissing`.
  func function<Function>(_ name: String, as type: Function.Type = Function.self) throws -> Function {
    guard let address = symbols(name) else { throw CUDAError.functionMissing(name, library: library) }
    return unsafeBitCast(address, to: type)
  }
}
