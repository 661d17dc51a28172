// Settings as a run has them, of every kind of value, and the case whose answers are judged.

import MVARTraining
import OperatorCases

/// Some settings of a run.
struct FuzzSettings: RunSettings {
  var batch = 4
  var lr = 0.1
  var name: String? = "x"
  var isFlipped = true
  var fingerprints = RunFingerprints(data: "d")

  init() {}

  init(_ texts: inout SettingTexts) throws {
    batch = Int(try texts.text("--batch")) ?? 0
    name = texts.textIfPresent("--name")
    fingerprints = try RunFingerprints(&texts)
  }
}

enum AnsweredCase {
  /// SiLU of a few numbers.
  static var silu: any OperatorCase {
    get throws {
      try OperatorCatalog.randomCase(operator: "silu", shapes: ["x": [2, 3]], seed: 0)
    }
  }
}
