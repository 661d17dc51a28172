// What a file may ask for at most, in one table. Every limit is far above what published checkpoints need and low enough
// that opening a file takes at most 64 MiB and twice its length, whatever it claims.
//
// For comparison: a training checkpoint of MVAR-d30 with its tokenizer and AdamW's moments holds about 1 800 tensors; its
// pickle has 0.3 MB, 80 000 instructions, 12 000 containers with 45 000 elements, and 15 000 memo entries.

/// The limits of the readers.
package enum FileLimits {
  // MARK: Pickles

  /// Bytes of a pickle; it is read in place.
  package static let pickleBytes = 1 << 26
  /// Bytes of a pickle that is compressed, and of one array in memory: 8 MiB.
  package static let inflatedPickleBytes = 1 << 23
  /// Instructions, a limit of time: a fraction of a second.
  package static let pickleSteps = 1 << 22
  /// Containers, names of classes and functions, tensors and storages. With the elements in them up to 48 MiB.
  package static let pickleObjects = 1 << 17
  /// Elements of all containers; also of the stack and of the memo.
  package static let pickleElements = 1 << 18
  /// Levels of containers in containers: the depth of the recursion.
  package static let pickleNesting = 200
  /// Bytes of one text.
  package static let textBytes = 1 << 20
  /// Bytes of all texts and byte strings in the object tree, beyond twice the length of the pickle: 4 MiB.
  package static let treeTextBytes = 1 << 22
  /// Visits while the tensors of the tree are listed, a limit of time.
  package static let treeVisits = 1 << 20
  /// Elements that all tensors together may repeat beyond what their storages hold: 256 MiB of float32.
  package static let repeatedElements = 1 << 26

  // MARK: Tensors

  /// Tensors of a file, about 600 bytes each: 20 MiB.
  package static let tensors = 1 << 15
  /// Bytes of all names of tensors, each kept three times: 12 MiB.
  package static let nameBytes = 1 << 22

  // MARK: Safetensors

  /// Bytes of the header, which is parsed in place; the format allows 100 MB.
  package static let headerBytes = 1 << 24
  /// Values in the header, up to 56 bytes each: 28 MiB.
  package static let headerValues = 1 << 19
  /// Levels of objects in objects.
  package static let headerNesting = 16
  /// Entries of the metadata, about 150 bytes each and their texts: 3 MiB.
  package static let metadataEntries = 1 << 14

  /// Bytes of the class names in the metadata, a JSON array: for 350 000 of them 60 MiB.
  package static let classNameBytes = 1 << 20

  // MARK: Archives and arrays

  /// Entries of a zip archive, about 250 bytes each: 16 MiB.
  package static let zipEntries = 1 << 16
  /// Bytes that all compressed entries together may unfold to: 256 times the archive and this. They are unfolded when
  /// their values are read, one entry at a time.
  package static let unfoldedBytes = 1 << 26
  /// Bytes of the header of a NumPy array.
  package static let arrayHeaderBytes = 1 << 16
}
