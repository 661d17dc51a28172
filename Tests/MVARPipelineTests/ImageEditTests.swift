// Editing for programs, with the shipped model: what is kept, the pixels of the program `mvar`, and a sentence for every
// edit that makes no sense.

import Foundation
import MVAR
import MVARFiles
import MVARMedia
import MVARPipeline
import MVARTestSupport
import Testing

@Suite("image edits")
struct ImageEditTests {
  private func photo() throws -> PixelImage { try PixelImage.load(Fixtures.path("photos/chelsea.png")) }

  /// The photograph's right part is white.
  private func mask(of photo: PixelImage, from column: Int) throws -> PixelImage {
    var mask = try PixelImage(width: photo.width, height: photo.height, filledWith: .black)
    for row in 0..<photo.height {
      for column in column..<photo.width { mask[row: row, column: column] = .white }
    }
    return mask
  }

  private func images(_ request: GeneratedImages) async throws -> [GeneratedImage] {
    var images: [GeneratedImage] = []
    for try await image in request { images.append(image) }
    return images
  }

  @Test func keepsTheTokensOutsideTheMask() async throws {
    let generator = try ImageGenerator.shipped()
    let photo = try photo()
    let edit = try ImageEdit(photo, mask: mask(of: photo, from: photo.width / 2), side: generator.imageSide)
    let tokens = try await generator.encode(photo)
    #expect(try edit.image == photo.centerCrop(generator.imageSide))
    let mask = try edit.tokens(generator.scaleList)
    let found = try await images(generator.images(editing: edit, as: "animal", count: 3, seed: 4, batch: 2))
    #expect(found.map(\.number) == [0, 1, 2] && found.allSatisfy { $0.label == 3 && $0.className == "animal" })
    for image in found {
      for (scale, redrawn) in mask.redrawn.enumerated() {
        for place in redrawn.indices where !redrawn[place] {
          #expect(image.tokens[scale][place] == tokens[scale][place])
        }
      }
      #expect(try await generator.decode(image.tokens) == image.pixels)
    }
    #expect(Set(found.map(\.tokens)).count == 3)
    let third = try await images(generator.images(editing: edit, as: "animal", seed: 4, first: 2))
    #expect(third == [found[2]])
  }

  @Test func everyPixelRedrawnIsWhatIsSampled() async throws {
    let generator = try ImageGenerator.shipped()
    let photo = try photo()
    let found = try await images(
      generator.images(editing: ImageEdit(photo, side: 64), as: "flag", count: 2, seed: 5))
    #expect(try await images(generator.images(of: ["flag"], count: 2, seed: 5)) == found)
  }

  @Test func withoutAClassAndWithKeptScales() async throws {
    let generator = try ImageGenerator.shipped()
    let photo = try photo()
    let tokens = try await generator.encode(photo)
    let found = try await images(generator.images(editing: ImageEdit(photo, side: 64), keptScales: 6))[0]
    #expect(found.label == 12 && found.className == nil)
    #expect(Array(found.tokens[..<6]) == Array(tokens[..<6]))
    #expect((6..<10).allSatisfy { found.tokens[$0] != tokens[$0] })
  }

  @Test func pixelsAreThoseOfTheProgram() async throws {
    let generator = try ImageGenerator.shipped()
    let photo = try photo()
    let white = try mask(of: photo, from: 300)
    let edit = try ImageEdit(photo, mask: white, extending: CanvasMargins(top: 75, bottom: 76), side: 64)
    let generated = try await images(
      generator.images(editing: edit, as: "animal", count: 2, threshold: 0.2, keptScales: 1, seed: 5))
    try withTemporaryFolder { folder in
      try white.writePNG(to: "\(folder)/mask.png")
      let result = try BuiltProgram.run(
        BuiltProgram.path("mvar"),
        [
          "edit", Fixtures.path("photos/chelsea.png"), "--mask", "mask.png", "--extend", "0,75,0,76", "--class",
          "animal",
        ]
          + ["--count", "2", "--mask-threshold", "0.2", "--keep-scales", "1", "--seed", "5", "--paste"]
          + ["--singles", "singles"],
        in: folder, environment: ["PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"])
      #expect(result.code == 0, "\(result.errors)")
      for image in generated {
        let file = try PixelImage.load("\(folder)/singles/00000\(image.number).png")
        #expect(try file == edit.pasted(into: image.pixels))
      }
    }
    #expect(generated.count == 2 && generated[0].pixels != generated[1].pixels)
  }

  @Test func refusesWrongEdits() async throws {
    let generator = try ImageGenerator.shipped()
    let photo = try PixelImage(width: 8, height: 6, filledWith: .black)
    func sentence(_ work: () async throws -> Void) async -> String? {
      do { try await work() } catch { return "\(error)" }
      return nil
    }
    #expect(
      await sentence { _ = try ImageEdit(photo, mask: PixelImage(width: 6, height: 8, filledWith: .white), side: 64) }
        == "the mask: is 6 × 8 pixels, and the image has 8 × 6: a mask is as large as its image")
    #expect(
      await sentence { _ = try ImageEdit(photo, mask: photo, side: 64) }
        == "the mask: has no white pixel, so that nothing would be redrawn; transparency is ignored")
    // White at the left and right of the middle square only.
    var sides = photo
    for row in 0..<6 { (sides[row: row, column: 0], sides[row: row, column: 7]) = (.white, .white) }
    #expect(
      await sentence { _ = try ImageEdit(photo, mask: sides, side: 6) }
        == "the mask: has no white area left in the middle square of 6 × 6 pixels, so that nothing would be redrawn")
    #expect(
      await sentence { _ = try ImageEdit(photo, extending: CanvasMargins(left: -1), side: 6) }
        == "the canvas: cannot have margins of [-1, 0, 0, 0] pixels; a margin is 0 to 65535")
    let edit = try ImageEdit(photo, side: 64)
    let unknown = await sentence { _ = try await generator.images(editing: edit, as: "dog") }
    #expect(unknown?.hasPrefix("class dog: the model has no class of this name; it has face, hand, ") == true)
    #expect(
      await sentence { _ = try await generator.images(editing: edit, count: 0) }
        == "0 images make no sense; use 1 to 1000000")
    #expect(
      await sentence { _ = try await generator.images(editing: edit, keptScales: 10) }
        == "all 10 scales are kept, so that nothing would be redrawn")
    #expect(
      await sentence { _ = try await generator.images(editing: edit, threshold: 0) }
        == "the threshold of the mask is 0.0; use a share of a cell above 0 and up to 1")
    #expect(
      await sentence { _ = try edit.pasted(into: photo) }
        == "the result: is 8 × 6 pixels, and the edited image 64 × 64")
  }
}
