// Reads a PyTorch checkpoint in the current format: a zip archive of a pickle and one entry per storage.
//
//   name/data.pkl   the object tree        name/byteorder   "little"        name/data/N   storage N
//
// Storages are used in place: opening reads only the directory and the pickle. TorchScript archives hold program
// code and are refused. Only the pickle's checksum is checked.

import MVARFiles

enum TorchZip {
  /// The longest pickle that is read; real ones take a few megabytes at most.
  static let longestPickle = 1 << 28

  /// Whether an archive looks like a PyTorch file.
  static func matches(_ archive: ZipArchive) -> Bool {
    archive.entries.contains { $0.name == "data.pkl" || $0.name.hasSuffix("/data.pkl") }
  }

  /// The object tree of a checkpoint.
  ///
  /// - Throws: `FileError`.
  static func read(_ archive: ZipArchive) throws -> PickleValue {
    let pickles = archive.entries.filter { $0.name == "data.pkl" || $0.name.hasSuffix("/data.pkl") }
    guard let pickle = pickles.first, pickles.count == 1 else {
      throw FileError("the archive holds \(pickles.count) files named data.pkl instead of one")
    }
    let folder = String(pickle.name.dropLast("data.pkl".count))
    if archive[folder + "constants.pkl"] != nil {
      throw FileError("is a TorchScript archive, which holds program code; save the model's state_dict instead")
    }
    if let entry = archive[folder + "byteorder"] {
      let order = try archive.storedRegion(entry).bytes.prefix(16)
      guard String(decoding: order, as: UTF8.self) == "little" else {
        throw FileError("was written on a big-endian machine, which is not supported")
      }
    }
    let region = try archive.storedRegion(pickle)
    guard region.count <= longestPickle else {
      throw FileError("the pickle of \(region.count) bytes is larger than any checkpoint's")
    }
    // PyTorch has an option to omit checksums; they are then 0.
    guard pickle.checksum == 0 || Zlib.checksum(region) == pickle.checksum else {
      throw FileError("the pickle does not match its checksum; the file is damaged")
    }
    var cursor = ByteCursor(region, subject: "pickle")
    var machine = PickleMachine()
    let root = try machine.run(&cursor)
    var tree = PickleTree(machine) { tensor in
      let storage = tensor.storage
      guard let entry = archive["\(folder)data/\(storage.key)"] else {
        throw FileError("the storage \"\(excerpt(storage.key))\" is missing from the archive")
      }
      return try StoredTensor(tensor, storageBytes: try archive.storedRegion(entry))
    }
    return try tree.value(of: root)
  }
}

extension StoredTensor {
  /// The tensor that a pickle describes, given the bytes of its storage.
  ///
  /// - Throws: `FileError` if the storage is too short, or the view extends outside it.
  init(_ reference: TensorReference, storageBytes: ByteRegion) throws {
    let width = reference.storage.scalarType?.byteWidth ?? 1
    // The machine has checked that the product does not overflow.
    let claimed = reference.storage.count * width
    guard let storage = storageBytes.slice(at: 0, count: claimed) else {
      throw FileError(
        "the storage \"\(excerpt(reference.storage.key))\" holds \(storageBytes.count) bytes instead of \(claimed)")
    }
    try self.init(
      scalarType: reference.scalarType, shape: reference.shape, strides: reference.strides, offset: reference.offset,
      storage: storage)
  }
}
