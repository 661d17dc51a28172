// Reads a PyTorch checkpoint in the format used before version 1.6: pickles one after the other, then the storages.
//
//   magic number | protocol 1001 | system facts | object tree | list of storage keys | count and bytes of each storage
//
// All but the storages are pickles. Storages are used in place; they are little-endian whatever the machine that wrote
// them. The tar format from before 2017 is not read.

import MVARFiles

enum TorchLegacy {
  private static let magic: [UInt8] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]

  /// The object tree of a checkpoint.
  ///
  /// - Throws: `FileError`, also for a pickle that is not a PyTorch file.
  static func read(_ file: ByteRegion) throws -> PickleValue {
    var cursor = ByteCursor(file, subject: "pickle")
    var start = PickleMachine(file)
    let item = try start.run(&cursor)
    guard case .bigInteger(let slice) = item, try start.bytes(in: slice) == magic else {
      var what = ""
      if case .skipped(let index) = item { what = ": it is \(start.skipped[Int(index)].reason)" }
      throw FileError("is a Python pickle but not a PyTorch checkpoint\(what)")
    }
    guard case .int(1001) = try tree(&cursor) else {
      throw FileError("has a version of PyTorch's old format that is not supported")
    }
    guard try tree(&cursor).pairs != nil else {
      throw FileError("the file's description of its machine is missing")
    }
    var machine = PickleMachine(file)
    let root = try machine.run(&cursor)
    let storages = try locateStorages(machine, file, &cursor)
    let reader = StorageReader(machine, isBigEndian: false)
    var tree = PickleTree(machine) { tensor in
      let key = reader.key(of: tensor)
      guard let bytes = storages[ExactText(key)] else {
        throw FileError("the storage \"\(excerpt(key))\" is missing from the file")
      }
      return try reader.tensor(tensor, storageBytes: bytes)
    }
    return try tree.value(of: root)
  }

  private static func tree(_ cursor: inout ByteCursor) throws -> PickleValue {
    var machine = PickleMachine(cursor.region)
    let item = try machine.run(&cursor)
    var tree = PickleTree(machine) { _ in throw FileError("the file holds a tensor where none belongs") }
    return try tree.value(of: item)
  }

  /// Walks over the storages that follow the pickles; returns the bytes of each by key.
  private static func locateStorages(
    _ machine: PickleMachine, _ file: ByteRegion, _ cursor: inout ByteCursor
  ) throws -> [ExactText: ByteRegion] {
    var references: [ExactText: StorageReference] = [:]
    for reference in machine.storages {
      let key = ExactText(machine.text(in: reference.key) ?? "")
      if let known = references[key], known.count != reference.count || known.numbers != reference.numbers {
        throw FileError("the storage \"\(excerpt(key.text))\" is described in two different ways")
      }
      references[key] = reference
    }
    guard let keys = try tree(&cursor).elements else { throw FileError("the list of storages is missing") }
    var data = ByteCursor(file, at: cursor.position, subject: "data of the storages")
    var storages: [ExactText: ByteRegion] = [:]
    for key in keys {
      guard let key = key.string.map({ ExactText($0) }), let reference = references[key] else {
        throw FileError("the list of storages names one that no tensor uses")
      }
      guard try data.read(Int64.self) == Int64(reference.count) else {
        throw FileError("the storage \"\(excerpt(key.text))\" does not have the size its tensors expect")
      }
      let region = try data.readRegion(reference.count * reference.numbers.byteWidth)
      guard storages.updateValue(region, forKey: key) == nil else {
        throw FileError("the list of storages names \"\(excerpt(key.text))\" twice")
      }
    }
    return storages
  }
}
