// Names are bytes: "é" as one character and as "e" with an accent are two names, wherever names are compared.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import Testing

struct ExactNameTests {
  private static let composed = "\u{e9}"
  private static let decomposed = "e\u{301}"

  private func tensors() throws -> [(name: String, tensor: StoredTensor)] {
    [
      (Self.composed, try StoredTensor([1 as Float], shape: [1])),
      (Self.decomposed, try StoredTensor([2 as Float], shape: [1])),
    ]
  }

  @Test func swiftTakesThemForTheSame() {
    #expect(Self.composed == Self.decomposed)
    #expect(ExactText(Self.composed) != ExactText(Self.decomposed))
    #expect(Set([ExactText(Self.composed), ExactText(Self.decomposed), ExactText(Self.composed)]).count == 2)
    #expect(Self.composed.isExactly("\u{e9}") && !Self.composed.isExactly(Self.decomposed))
    #expect("a\u{e9}b".startsExactly(with: "a\u{e9}") && !"a\u{e9}b".startsExactly(with: "ae\u{301}"))
    #expect("a\u{e9}b".endsExactly(with: "\u{e9}b") && !"a\u{e9}b".endsExactly(with: "e\u{301}b"))
  }

  @Test func everyFormatKeepsBoth() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/a"
      for write in [
        { try SafetensorsWriter.write($0, to: path) }, { try TorchWriter.write($0, to: path) },
        { try NPZWriter.write($0, to: path) },
      ] as [([(name: String, tensor: StoredTensor)]) throws -> Void] {
        try write(tensors())
        let checkpoint = try Checkpoint.open(path)
        #expect(checkpoint.tensors.map { Array($0.name.utf8) } == [Array("\u{e9}".utf8), Array("e\u{301}".utf8)])
        #expect(try checkpoint[Self.composed]?.floats() == [1])
        #expect(try checkpoint[Self.decomposed]?.floats() == [2])
        let weights = try checkpoint.weights(containing: Self.decomposed)
        #expect(weights.tensors.count == 2)
      }
    }
  }

  @Test func metadataKeepsBoth() throws {
    try withTemporaryFolder { folder in
      let entries = [(key: Self.composed, value: "1"), (key: Self.decomposed, value: "2")]
      try SafetensorsWriter.write(tensors(), metadataEntries: entries, to: "\(folder)/a")
      let found = try Checkpoint.open("\(folder)/a").metadataEntries
      #expect(found.map { Array($0.key.utf8) } == [Array("e\u{301}".utf8), Array("\u{e9}".utf8)])
      #expect(found.map(\.value) == ["2", "1"])
    }
  }

  @Test func keysOfNestedDictionariesAreTold() throws {
    let tensor = Pickle.tensor(Pickle.storage("0", count: 6), shape: [6], strides: [1])
    let root = Pickle.dictionary([
      (Self.composed, Pickle.dictionary([("w", tensor)])), (Self.decomposed, Pickle.dictionary([("w", tensor)])),
    ])
    try withTemporaryFolder { folder in
      let checkpoint = try openBytes(Zip.torch(Pickle.program(root)), in: folder)
      #expect(checkpoint.tensors.count == 2)
      #expect(checkpoint.sets(containing: ["w"]).count == 2)
      let chosen = try checkpoint.weights(containing: "w", WeightsChoice(name: Self.decomposed))
      #expect(chosen.prefix.isExactly("e\u{301}"))
    }
  }

  @Test(arguments: ["\u{e9}", "e\u{301}"]) func aKeyThatOccursTwiceIsRefusedByName(key: String) throws {
    try withTemporaryFolder { folder in
      for (file, reason) in [
        (Safetensors.file("{\"\(key)\":{},\"\(key)\":{}}"), "the header holds the key \"\(key)\" twice"),
        (
          Zip.torch(Pickle.program(Pickle.dictionary([(key, [0x4e]), (key, [0x4e])]))),
          "a dictionary in the pickle holds the key \(key) twice"
        ),
        (
          Zip.archive([
            Zip.Entry(name: "\(key).npy", bytes: NumPy.sample), Zip.Entry(name: "\(key).npy", bytes: NumPy.sample),
          ]),
          "the zip archive holds the entry \"\(key).npy\" twice"
        ),
      ] {
        let error = #expect(throws: FileError.self) { try openBytes(file, in: folder) }
        #expect(error?.reason == reason)
      }
    }
  }
}
