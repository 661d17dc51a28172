// What the program does when all is well, on the tiny models: repeatable images, one image from a longer run, round
// trips between tokens and images, lossless conversions, and verification that also notices a wrong value.

import Foundation
import MVAR
import MVARCheckpoints
import MVARMedia
import MVARTestSupport
import Testing

@Suite("Happy paths")
struct HappyPathTests {
  /// Runs the program and expects success.
  private func succeed(_ arguments: [String], in folder: String) throws -> Tool.Result {
    let result = try Tool.run(arguments, in: folder)
    #expect(result.code == 0, "\(arguments): \(result.errors)")
    #expect(!result.wasKilled)
    return result
  }

  private func bytes(_ path: String) throws -> [UInt8] { try [UInt8](Data(contentsOf: URL(filePath: path))) }

  @Test("the same seed gives the same images, alone or among others, whatever the batch")
  func repeatable() throws {
    try withTemporaryFolder { folder in
      let more = ["--class", "3", "--seed", "7", "--top-k", "20", "--top-p", "0.9"]
      let four = try succeed(
        Tool.sample(more + ["--count", "4", "--tokens", "a.npz", "-o", "a.png", "--singles", "a", "--batch", "4"]),
        in: folder)
      #expect(four.output.split(separator: "\n").count == 6)
      #expect(four.errors.contains("4 images: transformer "))
      #expect(four.errors.contains("peak memory "))
      _ = try succeed(
        Tool.sample(more + ["--count", "4", "--tokens", "b.npz", "-o", "b.png", "--batch", "3"]), in: folder)
      #expect(try bytes("\(folder)/a.png") == bytes("\(folder)/b.png"))
      #expect(try bytes("\(folder)/a.npz") == bytes("\(folder)/b.npz"))

      _ = try succeed(
        Tool.sample(more + ["--first", "2", "--count", "1", "--tokens", "third.npz", "-o", "third.png"]), in: folder)
      let all = try Checkpoint.open("\(folder)/a.npz")
      let tokens = try #require(all["tokens"])
      #expect(tokens.shape == [4, 130])
      #expect(try #require(all["labels"]).integers() == [3, 3, 3, 3])
      let third = try #require(Checkpoint.open("\(folder)/third.npz")["tokens"])
      #expect(try third.integers() == Array(tokens.integers()[260..<390]))
      #expect(try third.integers() != Array(tokens.integers()[0..<130]))
      let image = try PixelImage.load("\(folder)/third.png")
      #expect(try image == PixelImage.load("\(folder)/a/000002-class3.png"))
      #expect(image.width == 128 && image.height == 128)

      _ = try succeed(
        ["decode", "third.npz", "--tokenizer", Tool.tokenizer, "-o", "again.png"] + Tool.scales, in: folder)
      #expect(try PixelImage.load("\(folder)/again.png") == image)
    }
  }

  @Test("an image after each scale")
  func scales() throws {
    try withTemporaryFolder { folder in
      try Data("tench, Tinca tinca\ngoldfish\n".utf8).write(to: URL(filePath: "\(folder)/names.txt"))
      let result = try succeed(
        Tool.sample([
          "--class", "Goldfish", "--class", "0", "--class-names", "names.txt", "--scales", "--smooth", "--cfg", "1",
          "-o", "out.png",
        ]), in: folder)
      #expect(result.output == "out.png\n")
      let image = try PixelImage.load("\(folder)/out.png")
      #expect(image.width == 6 * 128 + 5 * 2 && image.height == 2 * 128 + 2)
    }
  }

  @Test("reconstruct, encode and decode agree")
  func roundTrip() throws {
    try withTemporaryFolder { folder in
      let photo = Fixtures.path("photos/chelsea.png")
      let model = ["--tokenizer", Tool.tokenizer] + Tool.scales
      let result = try succeed(["reconstruct", photo, "-o", "direct.png"] + model, in: folder)
      #expect(result.output.hasPrefix("PSNR ") && result.output.hasSuffix(" dB\n"))
      _ = try succeed(["encode", photo, "-o", "tokens.npz"] + model, in: folder)
      _ = try succeed(["decode", "tokens.npz", "-o", "indirect.png"] + model, in: folder)
      #expect(try PixelImage.load("\(folder)/direct.png") == PixelImage.load("\(folder)/indirect.png"))

      let published = try Checkpoint.open(Fixtures.path("golden/files/cached_latent.npz"))
      let ours = try Checkpoint.open("\(folder)/tokens.npz")
      #expect(ours.tensors.map { $0.name } == published.tensors.map { $0.name })
      #expect(ours.tensors.map(\.tensor.shape) == published.tensors.map(\.tensor.shape))
      #expect(ours.tensors.map(\.tensor.scalarType) == published.tensors.map(\.tensor.scalarType))

      let several = [photo, Fixtures.path("photos/coffee.png")]
      _ = try succeed(["encode"] + several + ["-o", "cache"] + model, in: folder)
      #expect(try bytes("\(folder)/cache/chelsea.npz") == bytes("\(folder)/tokens.npz"))
      #expect(FileManager.default.fileExists(atPath: "\(folder)/cache/coffee.npz"))

      let dot = try PixelImage(width: 1, height: 1, filledWith: .black)
      try dot.writePNG(to: "\(folder)/dot.png")
      _ = try succeed(["reconstruct", "dot.png", "--side-by-side", "-o", "pair.png"] + model, in: folder)
      #expect(try PixelImage.load("\(folder)/pair.png").width == 2 * 128 + 2)
    }
  }

  @Test("crops equal the golden ones", arguments: ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"])
  func crop(_ name: String) throws {
    try withTemporaryFolder { folder in
      let photo = Fixtures.path("photos/\(name)")
      _ = try succeed(["crop", photo, "--size", "64", "-o", "out.png"], in: folder)
      let golden = Fixtures.path("golden/photos/\(name.split(separator: ".")[0]).crop64.png")
      #expect(try PixelImage.load("\(folder)/out.png") == PixelImage.load(golden))
    }
  }

  @Test("conversions keep every byte")
  func conversion() throws {
    try withTemporaryFolder { folder in
      for name in ["published", "legacy", "half", "training", "bare"] {
        let source = Fixtures.path("golden/files/checkpoint_\(name).pth")
        _ = try succeed(["convert", source, "a.safetensors"], in: folder)
        _ = try succeed(["convert", "a.safetensors", "b.pth"], in: folder)
        _ = try succeed(["convert", "b.pth", "c.safetensors"], in: folder)
        let expected = try Checkpoint.open(source).weights(containing: "word_embed.weight").tensors
        let found = try Checkpoint.open("\(folder)/b.pth").weights().tensors
        #expect(found.map { $0.name } == expected.map { $0.name })
        for (ours, theirs) in zip(found, expected) {
          #expect(ours.tensor.scalarType == theirs.tensor.scalarType && ours.tensor.shape == theirs.tensor.shape)
          let equal = try ours.tensor.withContiguousBytes { a in
            try theirs.tensor.withContiguousBytes { b in a.elementsEqual(b) }
          }
          #expect(equal, "\(name): \(ours.name)")
        }
        #expect(try bytes("\(folder)/a.safetensors") == bytes("\(folder)/c.safetensors"))
      }
    }
  }

  @Test("inspect tells the configuration and what does not fit")
  func inspect() throws {
    try withTemporaryFolder { folder in
      let whole = try succeed(["inspect", Tool.model, "--tensors"] + Tool.hints, in: folder)
      for part in [
        "format           torch\n", "under mvar_wo_ddp", "depth          1\n", "codes          64 of 8 numbers",
        "classes        10\n", "1 2 3 4 6 8 (130 tokens)", "missing        none", "word_embed.weight",
      ] {
        #expect(whole.output.contains(part), "\(part)")
      }
      let tokenizer = try succeed(["inspect", Tool.tokenizer] + Tool.scales, in: folder)
      #expect(tokenizer.output.contains("images         128 × 128 pixels"))
      try BadFiles.transformer("\(folder)/bad.safetensors") {
        $0.removeAll { $0.name == "head.bias" }
        $0.append(("extra", try StoredTensor([1 as Float], shape: [1])))
        try BadFiles.replace("pos_start", in: &$0) { _ in try StoredTensor([1 as Float], shape: [1]) }
      }
      let bad = try succeed(["inspect", "bad.safetensors"] + Tool.hints, in: folder)
      #expect(bad.output.contains("missing        head.bias [64]\n"))
      #expect(bad.output.contains("misshapen      pos_start: [1], the model needs [1, 1, 64]\n"))
      #expect(bad.output.contains("unexpected     extra\n"))
      let photo = try succeed(["inspect", Fixtures.path("photos/rocket.jpg")], in: folder)
      #expect(photo.output.contains("640 × 427 pixels"))
    }
  }

  @Test("inspect says when wrapper and mask disagree, and a conversion keeps what the wrapper said")
  func contradictingMask() throws {
    try withTemporaryFolder { folder in
      func inspect(_ file: String, _ more: [String] = []) throws -> String {
        try succeed(["inspect", file, "--window", "3"] + more, in: folder).output
      }
      let tuned = Fixtures.path("golden/files/mvar_finetuned_from_var.pth")
      let sentence = "attn_bias_for_masking is the mask of var, but the weights stand under mvar_wo_ddp: read as "
      #expect(try inspect(tuned).contains("  mask           \(sentence)mvar\n"))
      #expect(try inspect(tuned).contains("  attention      mvar\n"))
      #expect(try inspect(tuned, ["--attention", "var"]).contains("  mask           \(sentence)var\n"))
      for other in ["bare_with_var_mask", "checkpoint_published", "checkpoint_training", "checkpoint_bare"] {
        #expect(!(try inspect(Fixtures.path("golden/files/\(other).pth"))).contains("  mask  "), "\(other)")
      }

      _ = try succeed(["convert", tuned, "tuned.safetensors"], in: folder)
      #expect(try inspect("tuned.safetensors").contains("  attention      mvar\n"))
      let bare = try succeed(["convert", tuned, "tuned.pth"], in: folder)
      #expect(
        bare.errors == "mvar: tuned.pth no longer says what its tokens attend to: use it with --attention mvar\n")
      #expect(try succeed(["convert", Tool.model, "plain.pth"], in: folder).errors == "")
    }
  }

  @Test("golden files pass, and a changed value does not")
  func verify() throws {
    try withTemporaryFolder { folder in
      let golden = ["tiny.filter", "ops"].map { Fixtures.path("golden/\($0).safetensors") }
      let good = try succeed(["verify"] + golden + [Fixtures.path("golden/photos/crops.json")], in: folder)
      #expect(good.output.contains(" passed, 0 failed, 0 not checked in 3 files\n"))
      #expect(good.output.contains("\n  pass  gelu_tanh.out "))

      let source = try Checkpoint.open(golden[0])
      var tensors = source.tensors
      var values = try tensors[1].tensor.floats()
      values[10] += 0.01
      tensors[1].tensor = try StoredTensor(values, shape: tensors[1].tensor.shape)
      try SafetensorsWriter.write(tensors, metadata: source.metadata, to: "\(folder)/changed.safetensors")
      let bad = try Tool.run(["verify", "changed.safetensors", "--quiet"], in: folder)
      #expect(bad.code == 1)
      #expect(bad.output.contains("  FAIL  \(tensors[1].name) "))
      #expect(bad.output.contains(", 10]: "))
      #expect(bad.output.hasSuffix("4 passed, 1 failed, 0 not checked in 1 file\n"))

      // Comparing nothing is not a success.
      let gradient = ("an_operator_of_the_future.grad_out", try StoredTensor([Float(1)], shape: [1]))
      try SafetensorsWriter.write(
        [gradient], metadata: ["kind": "ops", "ops": "{\"an_operator_of_the_future\": {}}"],
        to: "\(folder)/future.safetensors")
      let nothing = try Tool.run(["verify", "future.safetensors"], in: folder)
      #expect(nothing.code == 2)
      #expect(nothing.output.contains("not checked: "))
    }
  }

  @Test("the sampler's golden file passes")
  func verifySampling() throws {
    try withTemporaryFolder { folder in
      let result = try succeed(["verify", Fixtures.path("golden/tiny.sample.safetensors"), "--summary"], in: folder)
      #expect(result.output.split(separator: "\n").count == 2)
    }
  }
}
