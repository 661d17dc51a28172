// What Scripts/reproduce has measured of one model: a line of JSON, put together from what the commands of mvar write.

import Foundation

/// One trained model.
public struct Measurement: Codable, Sendable {
  /// A training as a whole.
  public struct Training: Codable, Sendable {
    /// Optimizer steps, of the fine-tuning alone where there is one.
    public let steps: Int
    /// Images per step.
    public let batch: Int
  }

  /// Time and memory, with the machine to itself.
  public struct Cost: Codable, Sendable {
    /// Seconds of a step of training.
    public let step: Double
    /// The largest resident memory of the training.
    public let stepKiB: Double
    /// Seconds of a sampled image, the tokenizer's decoder included.
    public let image: Double
    /// The largest resident memory of sampling 24 images at a time.
    public let imageKiB: Double
  }

  /// How well the tokens of the held-out images are predicted.
  public struct Predictions: Codable, Sendable {
    /// One scale, or all.
    public struct Row: Codable, Sendable {
      /// Tokens of an image.
      public let tokens: Int
      /// Cross-entropy of a token.
      public let nats: Double
      /// The share of tokens that are the most likely ones.
      public let right: Double
    }
    /// The sides of the scales.
    public let sides: [Int]
    /// A row for each scale.
    public let scales: [Row]
    /// All tokens.
    public let all: Row
  }

  /// How samples and real images differ in a small classifier's features.
  public struct Distances: Codable, Sendable {
    /// A number, or none.
    public struct Value: Codable, Sendable {
      /// The number.
      public let value: Double?
    }
    /// The Fréchet distance.
    public let fid: Value
    /// The share of samples that are near real images.
    public let precision: Value
    /// The share of real images that are near samples.
    public let recall: Value
  }

  /// Arithmetic by count.
  public struct Arithmetic: Codable, Sendable {
    /// Multiply-accumulates of one pattern of attention.
    public struct Pattern: Codable, Sendable {
      struct Products: Codable, Sendable { let queriesKeys: Double }
      let products: Products
    }
    let depth: Int
    let width: Int
    let sides: [Int]
    let patterns: [Pattern]

    /// The mean number of keys that a query is multiplied with.
    public var keysPerQuery: Double {
      let tokens = sides.reduce(0) { $0 + $1 * $1 }
      return (patterns.first?.products.queriesKeys ?? .nan) / Double(depth * width * tokens)
    }
  }

  /// A validation during the training.
  public struct Point: Codable, Sendable {
    /// After so many steps.
    public let step: Int
    /// Nats a token.
    public let loss: Double

    private enum CodingKeys: String, CodingKey {
      case step
      case loss = "val_loss"
    }
  }

  /// SIZE/MODEL/SEED
  public let model: String
  /// How it was trained.
  public let train: Training
  /// Of the held-out images.
  public let predictions: Predictions
  /// Of the samples.
  public let distances: Distances
  /// Where it was timed.
  public let cost: Cost?
  /// Where it was timed.
  public let flops: Arithmetic?
  /// The validations.
  public let curve: [Point]

  /// The size's name.
  public var size: String { part(0) }
  /// The model's name.
  public var kind: String { part(1) }
  /// The seed.
  public var seed: String { part(2) }

  private func part(_ index: Int) -> String {
    let parts = model.split(separator: "/")
    return parts.indices.contains(index) ? String(parts[index]) : ""
  }

  /// The lines of a file.
  ///
  /// - Throws: `MiniatureError` with the number of a line that is no measurement.
  public static func lines(_ text: String) throws -> [Measurement] {
    try text.split(separator: "\n").enumerated().map { index, line in
      do {
        return try JSONDecoder().decode(Measurement.self, from: Data(line.utf8))
      } catch {
        throw MiniatureError(description: "line \(index + 1) is no measurement: \(error)")
      }
    }
  }
}

extension [Measurement] {
  /// As lines of a file, with nothing but what the tables need.
  public func lines() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try map { String(decoding: try encoder.encode($0), as: UTF8.self) + "\n" }.joined()
  }
}

/// Why there is no table.
public struct MiniatureError: Error, CustomStringConvertible {
  /// A sentence.
  public let description: String

  /// An error with its sentence.
  public init(description: String) { self.description = description }
}
