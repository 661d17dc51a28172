// Reads a PyTorch checkpoint in the current format: a zip archive of a pickle and one entry per storage.
//
//   name/data.pkl   the object tree        name/byteorder   "little"        name/data/N   storage N
//
// Storages are used in place; those that are compressed, which PyTorch reads but does not write, or were written on a
// big-endian machine are decoded whenever they are read. Opening reads only the directory and the pickle. TorchScript
// archives hold program code and are refused. Of what is stored only the pickle's checksum is checked.

import MVARFiles

enum TorchZip {
  /// Whether an archive looks like a PyTorch file.
  static func matches(_ archive: ZipArchive) -> Bool {
    archive.entries.contains { isPickle($0.name) }
  }

  private static func isPickle(_ name: String) -> Bool {
    name.isExactly("data.pkl") || name.endsExactly(with: "/data.pkl")
  }

  /// The object tree of a checkpoint.
  ///
  /// - Throws: `FileError`.
  static func read(_ archive: ZipArchive) throws -> PickleValue {
    try archive.checkExpansion()
    let pickles = archive.entries.filter { isPickle($0.name) }
    guard let pickle = pickles.first, pickles.count == 1 else {
      throw FileError("the archive holds \(pickles.count) files named data.pkl instead of one")
    }
    let folder = String(pickle.name.dropLast("data.pkl".count))
    if archive[folder + "constants.pkl"] != nil {
      throw FileError("is a TorchScript archive, which holds program code; save the model's state_dict instead")
    }
    let isBigEndian = try isBigEndian(archive, folder)
    let region = try contents(of: pickle, in: archive)
    var cursor = ByteCursor(region, subject: "pickle")
    var machine = PickleMachine(region)
    let root = try machine.run(&cursor)
    let reader = StorageReader(machine, isBigEndian: isBigEndian)
    var tree = PickleTree(machine) { tensor in
      let key = reader.key(of: tensor)
      guard let entry = archive["\(folder)data/\(key)"] else {
        throw FileError("the storage \"\(excerpt(key))\" is missing from the archive")
      }
      return try reader.tensor(tensor, storageBytes: try archive.contents(entry))
    }
    return try tree.value(of: root)
  }

  private static func isBigEndian(_ archive: ZipArchive, _ folder: String) throws -> Bool {
    guard let entry = archive[folder + "byteorder"] else { return false }
    let order = try archive.contents(entry)
    guard order.count <= 16 else { throw FileError("has a byte order that is neither little nor big") }
    switch String(decoding: try order.bytes(), as: UTF8.self) {
    case "little": return false
    case "big": return true
    case let other: throw FileError("has the byte order \"\(excerpt(other))\", which is neither little nor big")
    }
  }

  private static func contents(of pickle: ZipEntry, in archive: ZipArchive) throws -> ByteRegion {
    let stored = try archive.contents(pickle)
    let limit = pickle.method == 0 ? FileLimits.pickleBytes : FileLimits.inflatedPickleBytes
    guard stored.count <= limit else {
      throw FileError("the pickle of \(stored.count) bytes is larger than any checkpoint's")
    }
    guard pickle.method == 0 else { return ByteRegion(try stored.bytes()) }
    // PyTorch has an option to omit checksums; they are then 0.
    guard try pickle.checksum == 0 || Zlib.checksum(stored) == pickle.checksum else {
      throw FileError("the pickle does not match its checksum; the file is damaged")
    }
    return stored
  }
}

/// Makes tensors from what a pickle says about them and the bytes of their storages.
final class StorageReader {
  private let machine: PickleMachine
  private let isBigEndian: Bool
  /// Shapes and strides by the object that describes them: tensors of the same shape share it.
  private var integers: [Int32: [Int]] = [:]

  init(_ machine: PickleMachine, isBigEndian: Bool) {
    self.machine = machine
    self.isBigEndian = isBigEndian
  }

  /// The name of a tensor's storage.
  func key(of tensor: TensorReference) -> String {
    machine.text(in: machine.storages[Int(tensor.storage)].key) ?? ""
  }

  /// The tensor that a pickle describes, given the bytes of its storage.
  ///
  /// - Throws: `FileError` if the storage is too short, or the view extends outside it.
  func tensor(_ reference: TensorReference, storageBytes: ByteRegion) throws -> StoredTensor {
    let storage = machine.storages[Int(reference.storage)]
    // The machine has checked that the product does not overflow.
    let claimed = storage.count * storage.numbers.byteWidth
    guard var bytes = storageBytes.slice(at: 0, count: claimed) else {
      throw FileError(
        "the storage \"\(excerpt(key(of: reference)))\" holds \(storageBytes.count) bytes instead of \(claimed)")
    }
    if isBigEndian, reference.scalarType.byteWidth > 1 {
      let width = reference.scalarType.byteWidth
      bytes = ByteRegion(EncodedBytes(bytes, .bigEndian(width: width), count: claimed / width * width))
    }
    return try StoredTensor(
      scalarType: reference.scalarType, shape: values(reference.shape), strides: values(reference.strides),
      offset: reference.offset, storage: bytes)
  }

  private func values(_ index: Int32) -> [Int] {
    if let known = integers[index] { return known }
    let found = machine.objects[Int(index)].items.compactMap { if case .int(let value) = $0 { value } else { nil } }
    integers[index] = found
    return found
  }
}
