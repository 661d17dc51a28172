// Writes NumPy arrays: one to a `.npy` file, several to a stored `.npz` archive (as `numpy.savez` does).
//
// Elements start at multiples of 64 bytes. Types that NumPy lacks (bfloat16, 8-bit floats) are refused rather than
// converted; convert them first. Nothing is compressed.

import MVARFiles

/// Writes one array in NumPy's `.npy` format.
public enum NPYWriter {
  /// Writes an array, replacing an old file only when complete.
  ///
  /// - Throws: `FileError` if NumPy lacks the type, the tensor's file was shortened, or the file cannot be
  ///   written.
  public static func write(_ tensor: StoredTensor, to path: String) throws {
    let header = try attributing(to: path) { try Self.header(tensor.scalarType, tensor.shape) }
    try AtomicFile.write(to: path) { output in
      try output.write(header)
      try output.write(tensor)
    }
  }

  /// Magic number, version and dictionary, padded to a multiple of 64 bytes.
  static func header(_ scalarType: ScalarType, _ dimensions: [Int]) throws -> [UInt8] {
    guard let descriptor = scalarType.numpyDescriptor else {
      throw FileError("cannot be written: NumPy has no type \(scalarType)")
    }
    let sizes = dimensions.map(String.init).joined(separator: ", ")
    let shape = dimensions.count == 1 ? "(\(sizes),)" : "(\(sizes))"
    var text = Array("{'descr': '\(descriptor)', 'fortran_order': False, 'shape': \(shape), }".utf8)
    while (10 + text.count + 1) % 64 != 0 { text.append(0x20) }
    text.append(0x0a)
    return NPYReader.magic + [1, 0] + littleEndianBytes(UInt16(text.count)) + text
  }
}

/// Writes several arrays in NumPy's `.npz` format.
public enum NPZWriter {
  /// Writes arrays, replacing an old file only when complete.
  ///
  /// - Parameters:
  ///   - tensors: names without `.npy`, each at most once, and arrays.
  ///   - path: the file to write.
  /// - Throws: `FileError` if a name occurs twice or is unusable, NumPy lacks a type, a tensor's file was
  ///   shortened, or the file cannot be written.
  public static func write(_ tensors: [(name: String, tensor: StoredTensor)], to path: String) throws {
    let headers = try attributing(to: path) {
      try checkNames(tensors.map(\.name))
      guard tensors.allSatisfy({ $0.name.utf8.count < 60_000 }) else {
        throw FileError("cannot be written: the name of an array is too long")
      }
      return try tensors.map { try NPYWriter.header($0.tensor.scalarType, $0.tensor.shape) }
    }
    try AtomicFile.write(to: path) { output in
      var archive = ZipWriter()
      for ((name, tensor), header) in zip(tensors, headers) {
        try archive.add("\(name).npy", header: header, tensor, to: &output)
      }
      try archive.finish(&output)
    }
  }

  /// Writes one array whose elements are produced piece by piece, so that it need not fit in memory.
  ///
  /// - Parameters:
  ///   - name: the array's name without `.npy`.
  ///   - path: the file to write.
  ///   - body: writes all elements, row-major and little-endian.
  /// - Throws: `FileError` if `body` writes too much or too little, NumPy lacks the type, or the file cannot be
  ///   written; anything that `body` throws.
  public static func write(
    _ name: String, scalarType: ScalarType, shape: [Int], to path: String,
    _ body: (inout FileOutput) throws -> Void
  ) throws {
    try attributing(to: path) {
      let header = try NPYWriter.header(scalarType, shape)
      let count = try Layout.elementCount(of: shape, width: scalarType.byteWidth)
      try AtomicFile.write(to: path) { output in
        var archive = ZipWriter()
        try archive.add("\(name).npy", size: header.count + count * scalarType.byteWidth, to: &output) { output in
          try output.write(header)
          try body(&output)
        }
        try archive.finish(&output)
      }
    }
  }
}
