// One object tree as Python pickles it with each protocol, and the classes that become plain values.
//
// The texts are Python's own output for the same dictionary, protocols 1 to 5; protocol 0 gets a smaller one, because
// its escaped text is not supported.

import Foundation
import MVARCheckpoints
import MVARTestSupport
import Testing

struct PickleValueTests {
  static let protocols = [
    """
    fXEAKFgBAAAAYXEBXXECKEsBSv7///9NLAFKcBEBAEwxMDk5NTExNjI3Nzc2TApMLTEwOTk1MTE2Mjc3NzZMCkwxMTgwNTkxNjIwNzE3NDEx
    MzAzNDI0TAplWAEAAAB0cQMpWAEAAAB1cQQoSwF0cQVYAQAAAHZxBihLAUsCSwNLBHRxB1gBAAAAc3EIWAYAAABow6lsbG9xCVgBAAAAYnEK
    Y19jb2RlY3MKZW5jb2RlCnELKFgDAAAAAMO/cQxYBgAAAGxhdGluMXENdHEOUnEPWAEAAABmcRBHP/gAAAAAAABYAQAAAG5xEU5YAQAAAHlx
    EkkwMQpYAgAAAG5vcRNJMDAKWAIAAABzdHEUY19fYnVpbHRpbl9fCnNldApxFShdcRZLAWF0cRdScRhYAgAAAGZzcRljX19idWlsdGluX18K
    ZnJvemVuc2V0CnEaKF1xG0sCYXRxHFJxHVgCAAAAbnNxHmNjb3B5X3JlZwpfcmVjb25zdHJ1Y3RvcgpxHyhjYXJncGFyc2UKTmFtZXNwYWNl
    CnEgY19fYnVpbHRpbl9fCm9iamVjdApxIU50cSJScSN9cSQoWAUAAABkZXB0aHElSwJYBAAAAG5hbWVxJlgBAAAAbXEndWJYBQAAAGFnYWlu
    cShoAnUu
    """,
    """
    gAJ9cQAoWAEAAABhcQFdcQIoSwFK/v///00sAUpwEQEAigYAAAAAAAGKBgAAAAAA/4oJAAAAAAAAAABAZVgBAAAAdHEDKVgBAAAAdXEESwGF
    cQVYAQAAAHZxBihLAUsCSwNLBHRxB1gBAAAAc3EIWAYAAABow6lsbG9xCVgBAAAAYnEKY19jb2RlY3MKZW5jb2RlCnELWAMAAAAAw79xDFgG
    AAAAbGF0aW4xcQ2GcQ5ScQ9YAQAAAGZxEEc/+AAAAAAAAFgBAAAAbnERTlgBAAAAeXESiFgCAAAAbm9xE4lYAgAAAHN0cRRjX19idWlsdGlu
    X18Kc2V0CnEVXXEWSwFhhXEXUnEYWAIAAABmc3EZY19fYnVpbHRpbl9fCmZyb3plbnNldApxGl1xG0sCYYVxHFJxHVgCAAAAbnNxHmNhcmdw
    YXJzZQpOYW1lc3BhY2UKcR8pgXEgfXEhKFgFAAAAZGVwdGhxIksCWAQAAABuYW1lcSNYAQAAAG1xJHViWAUAAABhZ2FpbnElaAJ1Lg==
    """,
    """
    gAN9cQAoWAEAAABhcQFdcQIoSwFK/v///00sAUpwEQEAigYAAAAAAAGKBgAAAAAA/4oJAAAAAAAAAABAZVgBAAAAdHEDKVgBAAAAdXEESwGF
    cQVYAQAAAHZxBihLAUsCSwNLBHRxB1gBAAAAc3EIWAYAAABow6lsbG9xCVgBAAAAYnEKQwIA/3ELWAEAAABmcQxHP/gAAAAAAABYAQAAAG5x
    DU5YAQAAAHlxDohYAgAAAG5vcQ+JWAIAAABzdHEQY2J1aWx0aW5zCnNldApxEV1xEksBYYVxE1JxFFgCAAAAZnNxFWNidWlsdGlucwpmcm96
    ZW5zZXQKcRZdcRdLAmGFcRhScRlYAgAAAG5zcRpjYXJncGFyc2UKTmFtZXNwYWNlCnEbKYFxHH1xHShYBQAAAGRlcHRocR5LAlgEAAAAbmFt
    ZXEfWAEAAABtcSB1YlgFAAAAYWdhaW5xIWgCdS4=
    """,
    """
    gASV4AAAAAAAAAB9lCiMAWGUXZQoSwFK/v///00sAUpwEQEAigYAAAAAAAGKBgAAAAAA/4oJAAAAAAAAAABAZYwBdJQpjAF1lEsBhZSMAXaU
    KEsBSwJLA0sEdJSMAXOUjAZow6lsbG+UjAFilEMCAP+UjAFmlEc/+AAAAAAAAIwBbpROjAF5lIiMAm5vlImMAnN0lI+UKEsBkIwCZnOUKEsC
    kZSMAm5zlIwIYXJncGFyc2WUjAlOYW1lc3BhY2WUk5QpgZR9lCiMBWRlcHRolEsCjARuYW1llIwBbZR1YowFYWdhaW6UaAJ1Lg==
    """,
    """
    gAWV4AAAAAAAAAB9lCiMAWGUXZQoSwFK/v///00sAUpwEQEAigYAAAAAAAGKBgAAAAAA/4oJAAAAAAAAAABAZYwBdJQpjAF1lEsBhZSMAXaU
    KEsBSwJLA0sEdJSMAXOUjAZow6lsbG+UjAFilEMCAP+UjAFmlEc/+AAAAAAAAIwBbpROjAF5lIiMAm5vlImMAnN0lI+UKEsBkIwCZnOUKEsC
    kZSMAm5zlIwIYXJncGFyc2WUjAlOYW1lc3BhY2WUk5QpgZR9lCiMBWRlcHRolEsCjARuYW1llIwBbZR1YowFYWdhaW6UaAJ1Lg==
    """,
  ]

  private func root(_ base64: String) throws -> PickleValue {
    let bytes = try #require(Data(base64Encoded: base64.filter { !$0.isWhitespace }))
    return try withTemporaryFolder { try openBytes(Zip.torch([UInt8](bytes)), in: $0).root }
  }

  @Test(arguments: protocols) func everyProtocolGivesTheSameTree(base64: String) throws {
    let root = try root(base64)
    #expect(root.pairs?.count == 14)
    #expect(root["a"]?.elements?.prefix(6).map(\.int) == [1, -2, 300, 70000, 1 << 40, -1 << 40])
    if case .bigInteger(let bytes)? = root["a"]?[6] {
      #expect(bytes.prefix(9) == [0, 0, 0, 0, 0, 0, 0, 0, 64] && bytes.dropFirst(9).allSatisfy { $0 == 0 })
    } else {
      Issue.record("2^70 became \(String(describing: root["a"]?[6]))")
    }
    #expect(root["t"]?.elements?.count == 0)
    #expect(root["u"]?.elements?.map(\.int) == [1])
    #expect(root["v"]?.elements?.map(\.int) == [1, 2, 3, 4])
    #expect(root["s"]?.string == "héllo")
    #expect(root["b"]?.bytes == [0, 255])
    #expect(root["f"]?.double == 1.5)
    if case .none? = root["n"] {} else { Issue.record("None is missing") }
    #expect(root["y"]?.bool == true && root["no"]?.bool == false)
    #expect(root["st"]?.elements?.map(\.int) == [1] && root["fs"]?.elements?.map(\.int) == [2])
    #expect(root["ns"]?["depth"]?.int == 2 && root["ns"]?["name"]?.string == "m")
    #expect(root["again"]?.elements?.count == 7)
  }

  @Test func protocolZeroIsReadAsFarAsItIsPlain() throws {
    let root = try root(
      "KGRwMApWYQpwMQoobHAyCkkxCmFJLTIKYXNWdApwMwooSTAxCk50cDQKc1ZmCnA1CkYxLjUKc1ZzCnA2ClZoZWxsbwpwNwpzLg==")
    #expect(root["a"]?.elements?.map(\.int) == [1, -2])
    #expect(root["t"]?[0]?.bool == true)
    #expect(root["f"]?.double == 1.5)
    #expect(root["s"]?.string == "hello")
  }

  @Test func numPyNumbersBecomeNumbers() throws {
    let type = Pickle.global("numpy", "dtype") + Pickle.tuple(Pickle.text("f8"), [0x89], [0x88]) + [0x52]
    let state =
      Pickle.tuple([0x4b, 3], Pickle.text("<"), [0x4e], [0x4e], [0x4e], [0x4b, 0xff], [0x4b, 0xff], [0x4b, 0]) + [0x62]
    let number = Pickle.tuple(type + state, [0x43, 8] + le(Double(2.5).bitPattern)) + [0x52]
    let file = Zip.torch(Pickle.program(Pickle.global("numpy.core.multiarray", "scalar"), number))
    let root = try withTemporaryFolder { try openBytes(file, in: $0).root }
    #expect(root.double == 2.5)
  }

  @Test func wrappersAroundTensorsAreDropped() throws {
    let tensor = Pickle.tensor(Pickle.storage("0", count: 6), shape: [6], strides: [1])
    let hooks = Pickle.global("collections", "OrderedDict") + [0x29, 0x52]
    let parameter = Pickle.global("torch._utils", "_rebuild_parameter") + Pickle.tuple(tensor, [0x88], hooks) + [0x52]
    let pairs: [(String, [UInt8])] = [
      ("p", parameter), ("size", Pickle.global("torch", "Size") + Pickle.tuple(Pickle.ints([2, 3])) + [0x52]),
      ("type", Pickle.global("torch", "bfloat16")),
      ("device", Pickle.global("torch", "device") + Pickle.tuple(Pickle.text("cpu")) + [0x52]),
    ]
    try withTemporaryFolder { folder in
      let checkpoint = try openBytes(Zip.torch(Pickle.program(Pickle.dictionary(pairs))), in: folder)
      #expect(try checkpoint["p"]?.floats() == [0, 1, 2, 3, 4, 5])
      #expect(checkpoint.root["size"]?.elements?.map(\.int) == [2, 3])
      if case .global("torch.bfloat16")? = checkpoint.root["type"] {} else { Issue.record("the type is missing") }
      #expect(checkpoint.root["device"]?.string == "cpu")
    }
  }
}
