// The peers, by the names that `peer.py` knows, and what each of them can do.

import BenchReport

/// Another program that does the same.
struct Peer {
  /// Its name in `peer.py`.
  let name: String
  /// Its name in tables.
  let title: String
  let precision: Precision
  /// What must have been prepared beside the checkpoints.
  var preparation: String?
  /// The kinds of work that it does.
  let kinds: Set<Kind>

  /// A kind of work.
  enum Kind: String, CaseIterable { case operation, transformer, decode, train, sample, emoji }

  static let all: [Peer] = [
    Peer(name: "eager", title: "PyTorch", precision: .float32, kinds: Set(Kind.allCases)),
    Peer(
      name: "once", title: "PyTorch, AdaLN once, channels last", precision: .float32,
      kinds: [.transformer, .decode, .sample, .emoji]),
    Peer(name: "compile", title: "torch.compile", precision: .float32, kinds: [.transformer, .decode]),
    Peer(
      name: "openvino", title: "OpenVINO", precision: .float32, preparation: "openvino",
      kinds: [.transformer, .decode, .sample]),
    Peer(
      name: "onnx", title: "ONNX Runtime", precision: .float32, preparation: "onnx",
      kinds: [.transformer, .decode, .sample]),
    Peer(
      name: "once-bf16", title: "PyTorch bf16", precision: .bf16,
      kinds: [.transformer, .decode, .train, .sample]),
    Peer(name: "compile-bf16", title: "torch.compile bf16", precision: .bf16, kinds: [.transformer, .decode]),
    Peer(
      name: "openvino-bf16", title: "OpenVINO bf16", precision: .bf16, preparation: "openvino",
      kinds: [.transformer, .decode, .sample]),
    Peer(
      name: "onnx-int8", title: "ONNX Runtime int8", precision: .int8, preparation: "onnx",
      kinds: [.transformer, .sample]),
  ]

  /// Those that do a kind of work in a precision.
  static func of(_ kind: Kind, _ precision: Precision) -> [Peer] {
    all.filter { $0.precision == precision && $0.kinds.contains(kind) }
  }
}
