// The state of a training as a file: it is refused when it belongs to something else or is damaged, and is at the same
// time a model that can be used directly, together with its metadata. Differing settings are tested in
// RunSettingsTests.swift.

import Foundation
import MVAR
import MVARCheckpoints
import MVARFiles
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite("checkpoints of trainings")
struct TrainingCheckpointTests {
  private typealias Engine = TinyTraining.Engine

  /// The reason of the error that `body` throws.
  private func reason(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "no error"
    } catch let error as FileError {
      return error.reason
    } catch {
      return "another error: \(error)"
    }
  }

  @Test("a checkpoint is a model, and no checkpoint of anything else")
  func files() throws {
    try withTemporaryFolder { folder in
      let (first, second) = ("\(folder)/tokenizer.safetensors", "\(folder)/transformer.safetensors")
      let tokenizer = try TinyTraining.tokenizerSession(steps: 4, batch: 2)
      try tokenizer.save(iterations: 3, to: first)
      let transformer = try TinyTraining.transformerSession(steps: 4, batch: 2, tokenizer: tokenizer.trainer.model)
      try transformer.save(iterations: 2, to: second)

      let loaded: VQVAE<Engine> = try ModelSource.file(first).tokenizer(on: HostDevice())
      #expect(loaded.configuration == TinyTraining.tokenizerConfiguration)
      let model: MarkovianTransformer<Engine> = try ModelSource.file(second).transformer(on: HostDevice())
      #expect(model.configuration == TinyTraining.transformerConfiguration)
      for (ours, theirs) in zip(model.parameters, transformer.trainer.model.parameters) {
        #expect(try ours.value.scalars() == theirs.value.scalars(), "\(ours.name)")
      }
      let weights = try CheckpointWeights(path: second, .transformer)
      #expect(try ModelMetadata.classNames(of: weights) == TinyTraining.classNames)

      #expect(try TrainingCheckpoint<Engine>(reading: first, .tokenizer).iteration == 3)
      #expect(
        reason { _ = try TrainingCheckpoint<Engine>(reading: second, .tokenizer) }
          == "is a checkpoint of a training, but not of a tokenizer's")
      #expect(
        reason { _ = try TrainingCheckpoint<Engine>(reading: first, .transformer) }
          == "is a checkpoint of a training, but not of a transformer's")
      try ModelFile.write(loaded.parameters, .tokenizer, metadata: [:], to: "\(folder)/model.safetensors")
      #expect(
        reason { _ = try TrainingCheckpoint<Engine>(reading: "\(folder)/model.safetensors", .tokenizer) }
          == "is no checkpoint of a training: it does not say how far it got")

      // Without one tensor, and truncated.
      let source = try Checkpoint.open(second)
      let fewer = source.tensors.filter { $0.name != "mvar_wo_ddp.head.bias" }
      try SafetensorsWriter.write(fewer, metadata: source.metadata, to: "\(folder)/fewer.safetensors")
      var session = transformer
      #expect(
        reason { _ = try session.restore(from: "\(folder)/fewer.safetensors") } == "mvar_wo_ddp.head.bias is missing")
      let bytes = try Data(contentsOf: URL(fileURLWithPath: second))
      for count in [0, 5, 500, bytes.count / 2, bytes.count - 1] {
        try bytes.prefix(count).write(to: URL(fileURLWithPath: "\(folder)/short.safetensors"))
        #expect(throws: FileError.self) { try session.restore(from: "\(folder)/short.safetensors") }
      }
    }
  }

  @Test("metadata that make no sense")
  func metadata() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/model.safetensors"
      let model = try TinyTraining.transformer()
      let good = try ModelMetadata.of(TinyTraining.transformerConfiguration, classNames: ["a"])
      for (key, value, sentence) in [
        ("num_heads", "two", "its metadata entry num_heads is no usable number"),
        ("num_heads", "3", "the checkpoint has 2 heads, not 3"),
        ("kernel_size", "-1", "its metadata entry kernel_size is no usable number"),
        ("refine_step", "1.5", "its metadata entry refine_step is no usable number"),
        ("patch_nums", "", "its metadata entry patch_nums is no list of scales"),
        ("patch_nums", "1 2 x 8", "its metadata entry patch_nums is no list of scales"),
        ("class_names", "{}", "its metadata entry class_names is no list of names"),
      ] {
        var metadata = good
        metadata[key] = value
        try ModelFile.write(model.parameters, .transformer, metadata: metadata, to: path)
        let found = reason {
          let _: MarkovianTransformer<Engine> = try ModelSource.file(path).transformer(on: HostDevice())
          _ = try ModelMetadata.classNames(of: CheckpointWeights(path: path, .transformer))
        }
        #expect(found == sentence, "\(key) \(value)")
      }
      let tokenizer = try TinyTraining.tokenizer()
      var metadata = ModelMetadata.of(TinyTraining.tokenizerConfiguration)
      metadata["using_znorm"] = "yes"
      try ModelFile.write(tokenizer.parameters, .tokenizer, metadata: metadata, to: path)
      let found = reason { let _: VQVAE<Engine> = try ModelSource.file(path).tokenizer(on: HostDevice()) }
      #expect(found == "its metadata entry using_znorm is neither true nor false")
    }
  }

  @Test("every number in the metadata of a model, at its limits, is used or refused")
  func limits() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/model.safetensors"
      let transformer = try TinyTraining.transformer()
      let tokenizer = try TinyTraining.tokenizer()
      let values = [
        "0", "1", "-1", "\(Int.max)", "\(Int.min)", "9223372036854775808", "nan", "inf", "1e5", "", "2 2",
        "99999 99999",
      ]
      var refused = 0
      func load(_ metadata: [String: String], _ kind: CheckpointNames.Model) throws {
        if kind == .transformer {
          try ModelFile.write(transformer.parameters, kind, metadata: metadata, to: path)
        } else {
          try ModelFile.write(tokenizer.parameters, kind, metadata: metadata, to: path)
        }
        do {
          if kind == .transformer {
            let _: MarkovianTransformer<Engine> = try ModelSource.file(path).transformer(on: HostDevice())
          } else {
            let _: VQVAE<Engine> = try ModelSource.file(path).tokenizer(on: HostDevice())
          }
        } catch is FileError {
          refused += 1
        } catch is ConfigurationError {
          refused += 1
        }
      }
      for (good, kind) in [
        (
          try ModelMetadata.of(TinyTraining.transformerConfiguration, classNames: ["a"]),
          CheckpointNames.Model.transformer
        ),
        (ModelMetadata.of(TinyTraining.tokenizerConfiguration), .tokenizer),
      ] {
        let before = refused
        try load(good, kind)
        #expect(refused == before)
        for key in good.keys.sorted() where key != ModelMetadata.attention && key != "class_names" {
          for value in values {
            var metadata = good
            metadata[key] = value
            let before = refused
            try load(metadata, kind)
            if !["0", "1", "\(Int.max)"].contains(value) { #expect(refused == before + 1, "\(key) \(value)") }
          }
        }
      }
    }
  }
}
