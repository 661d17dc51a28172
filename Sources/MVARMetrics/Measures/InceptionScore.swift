// The Inception score: how sure the network is about each image, and how many classes it sees in all of them.
//
//   IS = mean over parts of exp( mean over images of KL( p(y|x) ‖ mean of p(y|x) ) )

import Foundation

/// The Inception score.
public enum InceptionScore {
  /// Images of a part, as in the authors' evaluation.
  public static let usualPart = 5000

  /// The mean of the scores of consecutive parts, of which the last may be shorter.
  ///
  /// - Parameters:
  ///   - logits: [N, classes], without the bias of the last layer.
  ///   - part: how many images a part has, at least 1.
  /// - Returns: at least 1, at most the number of classes.
  public static func score(_ logits: FeatureMatrix, part: Int = usualPart) -> Double {
    precondition(part >= 1, "a part of \(part) images")
    var scores: [Double] = []
    for start in stride(from: 0, to: logits.rows, by: part) {
      let images = start..<min(start + part, logits.rows)
      var mean = [Double](repeating: 0, count: logits.columns)
      // Σ p ln p of all images.
      var certainty = 0.0
      for image in images {
        let row = logits.row(image)
        let largest = Double(row.max() ?? 0)
        let sum = row.reduce(0.0) { $0 + exp(Double($1) - largest) }
        for (place, logit) in row.enumerated() {
          let logarithm = Double(logit) - largest - log(sum)
          let probability = exp(logarithm)
          mean[place] += probability
          // What has no probability contributes nothing.
          if probability > 0 { certainty += probability * logarithm }
        }
      }
      let count = Double(images.count)
      let entropy = mean.reduce(0) { $1 > 0 ? $0 + $1 / count * log($1 / count) : $0 }
      scores.append(exp(certainty / count - entropy))
    }
    return scores.reduce(0, +) / Double(max(scores.count, 1))
  }
}
