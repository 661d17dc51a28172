// The answer to a request: images one after another, computed as they are asked for.

import MVAR
import MVARMedia

/// An image and where it comes from.
public struct GeneratedImage: Hashable, Sendable {
  /// 8-bit RGB.
  public let pixels: PixelImage
  /// The class it was asked for; the number of classes stands for none.
  public let label: Int
  /// The name of that class, where the model knows it.
  public let className: String?
  /// Its number among the images of the seed: with both the same image can be had again, alone or among others.
  public let number: Int
  /// The seed.
  public let seed: UInt64
  /// The tokens of each scale, p_s² of them in row-major order.
  public let tokens: [[Int]]
}

/// How far a request is.
public struct SamplingProgress: Hashable, Sendable {
  /// The images that are being sampled, counted from 0.
  public let images: Range<Int>
  /// How many images the request is for.
  public let imageCount: Int
  /// The scale that has just been sampled, counted from 0.
  public let scale: Int
  /// How many scales an image has.
  public let scaleCount: Int
}

/// The images of a request, in its order.
///
/// Every loop over it begins anew. An error ends the loop; a canceled task gets a `CancellationError`.
public struct GeneratedImages: AsyncSequence, Sendable {
  let generator: ImageGenerator
  let labels: [Int]
  let seed: UInt64
  let first: Int
  let options: SamplingOptions
  /// The tokens of an edited image that are kept, nil for those that are drawn; nil if no image is edited.
  let kept: [[Int?]]?
  let batch: Int
  let progress: (@Sendable (SamplingProgress) -> Void)?

  /// How many images there will be.
  public var count: Int { labels.count }

  /// Begins with the first image.
  public func makeAsyncIterator() -> Iterator { Iterator(request: self) }

  /// Samples a batch whenever the one before has been handed out.
  public struct Iterator: AsyncIteratorProtocol, Sendable {
    let request: GeneratedImages
    private var ready: ArraySlice<GeneratedImage> = []
    private var position = 0

    init(request: GeneratedImages) { self.request = request }

    /// The next image; nil after the last, and after an error.
    public mutating func next() async throws -> GeneratedImage? {
      do {
        if ready.isEmpty {
          guard position < request.count else { return nil }
          let range = position..<Swift.min(position + request.batch, request.count)
          ready = ArraySlice(try await request.generator.sample(request, range))
          position = range.upperBound
        }
        try Task.checkCancellation()
        return ready.popFirst()
      } catch {
        (ready, position) = ([], request.count)
        throw error
      }
    }
  }
}
