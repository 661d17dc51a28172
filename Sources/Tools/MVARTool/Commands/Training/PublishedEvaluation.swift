// `mvar evaluate --published`: how the authors sample and measure a published model, as commands. Settings of MVAR are those
// of the algorithm's section "Sizes"; VAR's are those that its authors give for their table.

import ArgumentParser
import MVAR
import MVARFiles
import MVARPipeline

/// A published model.
enum PublishedModel: String, CaseIterable, ExpressibleByArgument {
  case d16
  case d16Finetuned = "d16-finetuned"
  case d20
  case d24
  case varD16 = "var_d16"
  case varD20 = "var_d20"
  case varD24 = "var_d24"
  case varD30 = "var_d30"

  /// The name of the published file.
  var file: String {
    switch self {
    case .d16: "mvar-d16.pth"
    case .d16Finetuned: "mvar-finetune-d16.pth"
    case .d20, .d24: "mvar-finetune-\(rawValue).pth"
    case .varD16, .varD20, .varD24, .varD30: "\(rawValue).pth"
    }
  }

  /// How images are sampled for its published values.
  var sampling: SamplingValues {
    switch self {
    case .d16: SamplingValues(guidance: 2.7, topK: 1200, topP: 0.99)
    case .d16Finetuned: SamplingValues(guidance: 2, topK: 1200, topP: 0.99)
    case .d20, .varD16, .varD20, .varD24, .varD30: SamplingValues(guidance: 1.5, topK: 900, topP: 0.96)
    case .d24: SamplingValues(guidance: 1.4, topK: 900, topP: 0.96)
    }
  }

  /// The published FID; nil where the paper's table has none.
  var fid: Double? {
    switch self {
    case .d16Finetuned: 3.40
    case .varD16: 3.55
    default: nil
    }
  }

  /// The commands that sample 50 images of every class and measure them.
  ///
  /// - Parameters:
  ///   - model: the model's file, if it has another name.
  ///   - tokenizer: the tokenizer's file, if it has another name.
  func commands(model: String?, tokenizer: String?) -> [String] {
    let stem = String(file.dropLast(".pth".count))
    let samples = "\(stem)-50000.npz"
    return [
      "mvar sample --model \(Self.quoted(model ?? file)) "
        + "--tokenizer \(Self.quoted(tokenizer ?? "vae_ch160v4096z32.pth")) --class all --count 50 "
        + "--cfg \(sampling.guidance) --top-k \(sampling.topK) --top-p \(sampling.topP) --seed 0 --resume -o \(samples)",
      "mvar metrics \(samples) VIRTUAL_imagenet256_labeled.npz --inception pt_inception-2015-12-05-6726825d.pth --shuffle",
    ]
  }

  /// A path as a shell reads it.
  private static func quoted(_ path: String) -> String {
    let isPlain = path.utf8.allSatisfy {
      UnicodeScalar($0).properties.isAlphabetic || (48...57).contains($0) || "-_./".utf8.contains($0)
    }
    return isPlain && !path.isEmpty && !path.hasPrefix("-") ? path : "'\(path.replacing("'", with: "'\\''"))'"
  }

  /// Prints the commands, and what they should find.
  func show(model: String?, tokenizer: String?) throws {
    let commands = commands(model: model, tokenizer: tokenizer)
    try Console.print(commands.joined(separator: " && \\\n  "))
    Console.note(fid.map { "published FID \(String(format: "%.2f", $0))" } ?? "its FID is in the paper of its authors")
  }
}
