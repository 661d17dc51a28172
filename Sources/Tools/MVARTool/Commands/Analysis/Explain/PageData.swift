// What the page of `mvar explain` is given: one JSON object, whose large arrays are zlib streams in base64. The page's
// script reads it (data.js); names and orders here and there are the same.
//
// Arrays of 16 bits are stored as all low bytes and then all high bytes, since the high ones compress. Nothing in the JSON
// can end the script element that holds it: every "<" is written as \u003c.

import Foundation
import MVAR
import MVARMedia

/// The page's data.
struct PageData: Encodable {
  /// A large array.
  struct Field: Encodable {
    /// Base64 of a zlib stream.
    let zlib: String

    /// Bytes.
    init(_ bytes: [UInt8]) throws {
      zlib = Data(try ZlibCompression.compressed(bytes)).base64EncodedString()
    }

    /// Numbers of 16 bits.
    init(_ numbers: [UInt16]) throws {
      try self.init(numbers.map { UInt8(truncatingIfNeeded: $0) } + numbers.map { UInt8($0 >> 8) })
    }

    /// The characters it takes in the page.
    var size: Int { zlib.utf8.count }
  }

  /// The model.
  struct Model: Encodable {
    let name: String
    let sides: [Int]
    let vocabulary: Int
    let codeWidth: Int
    let blocks: Int
    let heads: Int
    let width: Int
    let window: Int
    let refine: Int
    let parameters: Double
    let sharesModulation: Bool
  }

  /// How the image came about.
  struct Run: Encodable {
    /// Whether tokens are a photograph's, and not sampled.
    let isPhoto: Bool
    /// The photograph's file name, for people.
    let photo: String?
    /// The name or number of the class; absent for none.
    let className: String?
    /// In words, since numbers of JavaScript have 53 bits.
    let seed: String?
    let cfg: Double
    let topK: Int
    let topP: Double
    /// Whether logits given no class are there too.
    let canBeGuided: Bool
  }

  /// What is stored of the logits and attention, and in which units.
  struct Stored: Encodable {
    let candidates: Int
    let isPart: Bool
    let grid: [Double]
    let blocks: [Int]
    let heads: [Int]
    let fine = StoredCandidates.fine
    let differenceSteps = PackedLogits.differenceSteps
    let restShift = StoredCandidates.restShift
    let restSteps = StoredCandidates.restSteps
    let attentionLevels = AttentionCode.levels
    /// How much of the variance of colors the linear map explains.
    let colorFit: Double
    /// Whether the colors of codes are decoded.
    let codesAreDecoded: Bool
  }

  /// The large arrays.
  struct Fields: Encodable {
    let tokens: Field
    let below: Field
    let difference: Field?
    let ids: Field?
    let rest: Field?
    let ranks: Field
    let attention: Field
    let sums: Field
    let inputs: Field
    let codes: Field
    /// The random number of each token, 32 bits: all high halves, then all low ones; absent for a photograph.
    let draws: Field?
  }

  /// A list of scales to compare.
  struct Preset: Encodable {
    let name: String
    let sides: [Int]
    let window: Int
    let refine: Int
  }

  /// The size of a transformer to compare.
  struct Size: Encodable {
    let name: String
    let blocks: Int
    let width: Int
    let heads: Int
    let vocabulary: Int
    let codeWidth: Int
    let sharesModulation: Bool

    init(name: String, _ configuration: TransformerConfiguration) {
      self.name = name
      blocks = configuration.depth
      width = configuration.width
      heads = configuration.heads
      vocabulary = configuration.vocabulary
      codeWidth = configuration.codeWidth
      sharesModulation = configuration.sharesModulation
    }
  }

  let model: Model
  let run: Run
  let stored: Stored
  let fields: Fields
  /// The images after each scale side by side, as a PNG.
  let pictures: String
  /// The photograph as the model gets it, as a PNG.
  let photo: String?
  let presets: [Preset]
  let sizes: [Size]
  /// What the page computes in its own test.
  let expected: PageExpectations

  /// The data as JSON that can stand in a script element.
  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text = String(decoding: try encoder.encode(self), as: UTF8.self)
    return text.replacing("<", with: "\\u003c")
  }
}

extension PageData.Preset {
  /// This model's list of scales, and the published ones with the windows that `mvar mask` gives them.
  static func all(_ configuration: TransformerConfiguration) -> [PageData.Preset] {
    let own = PageData.Preset(
      name: "this model", sides: configuration.scaleList.sides,
      window: min(configuration.window, configuration.scaleList.lastSide),
      refine: configuration.attention == .mvar ? configuration.refineStep : configuration.scaleList.count)
    return [own]
      + [(256, ScaleList.pixels256), (512, .pixels512), (1024, .pixels1024)].map { pixels, scaleList in
        let published = TransformerConfiguration(depth: 16, scaleList: scaleList)
        return PageData.Preset(
          name: "published, \(pixels) pixels", sides: scaleList.sides, window: published.window,
          refine: published.refineStep)
      }
  }
}

extension PageData.Size {
  /// This model and the published sizes.
  static func all(_ configuration: TransformerConfiguration) -> [PageData.Size] {
    [PageData.Size(name: "this model", configuration)]
      + [16, 20, 24, 30].map { PageData.Size(name: "d\($0)", TransformerConfiguration(depth: $0)) }
  }
}
