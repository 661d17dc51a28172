// What determines the images of `mvar sample`, which a run that is continued must agree with. Names are those of options, or
// of what was read; options that change no image are not here.

import MVAR
import MVARCheckpoints
import MVARFiles

extension Sample {
  /// The settings of a run whose results are on the disk before it ends; nil for other runs.
  ///
  /// - Throws: what reading the models throws.
  func settings(
    _ models: SamplingModels, _ transformer: TransformerConfiguration,
    _ tokenizer: TokenizerConfiguration, _ options: SamplingOptions, _ request: SampleRequest
  ) throws -> RequestSettings? {
    guard arrays != nil || folder != nil else { return nil }
    let engine = EngineOptions.Settings(self.engine)
    let classes = request.classText
    return RequestSettings([
      "the model": try modelSource(models.transformer, option: "--model", weights.choice()).fingerprint(.transformer),
      "the tokenizer": try tokenizerSource(models).fingerprint(.tokenizer),
      "--patch-nums": "\(transformer.scaleList)",
      "--attention": transformer.attention.rawValue,
      "--heads": "\(transformer.heads)",
      "--window": "\(transformer.window)",
      "--refine-step": "\(transformer.refineStep)",
      "the number of images": "\(request.count)",
      // A list of thousands of classes need not be read by anyone.
      "--class": classes.utf8.count <= 4000 ? classes : SHA256.hexDigest(Array(classes.utf8)),
      "--first": "\(first)",
      "--seed": "\(seed)",
      "--cfg": "\(options.guidance)",
      "--top-k": "\(options.topK)",
      "--top-p": "\(options.topP)",
      "--smooth": "\(smooth)",
      "--scales": "\(scales)",
      "--rounding": images.rounding.rawValue,
      "--device": engine.device,
      "--precision": (self.engine.precision ?? .float32).rawValue,
      "--products": engine.products ?? "none",
    ])
  }

  /// Where the tokenizer's weights are.
  func tokenizerSource(_ models: SamplingModels) throws -> ModelSource {
    try modelSource(models.tokenizer ?? models.transformer, option: "--tokenizer", tokenizerWeights.choice())
  }
}
