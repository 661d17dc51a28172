// Reads JPEG through TurboJPEG with its accurate integer transform and smooth chroma upsampling (flags 0), which gives,
// bit for bit, the result of Pillow's `Image.open(path).convert("RGB")`; CMYK follows Pillow's Adobe convention
// (inverted). Damaged data are decoded as far as possible where Pillow decodes them, which then is a note and no error;
// a file that ends within its coded pixels is refused, as there.

import CMVARTurboJPEG
import MVARFiles

enum JPEGReader {
  /// A complete file has at least one bit per block, and at least one block per 128 pixels.
  private static let mostPixelsPerByte = 1024

  /// Put after a file, so that reading beyond its end is an error: beginnings of a second frame, more of them than
  /// a segment can skip.
  private static let barrier = [UInt8]((0..<65_540).map { $0 % 2 == 0 ? 0xFF : 0xC0 })

  static func decode(_ bytes: [UInt8], subject: String) throws(FileError) -> LoadedImage {
    let header = try JPEGHeader(bytes, subject: subject)
    try ImageLimits.check(
      width: header.width, height: header.height, bytes: bytes.count,
      least: header.width * header.height / mostPixelsPerByte, of: subject)
    // No byte is added to the file: libjpeg reads the last bytes in another way, which damage may make visible.
    let result = try Decompression(bytes, header, subject)
    var damage: String?
    switch result.outcome {
    case .complete: break
    case .warned(let reason):
      guard try hasEnough(bytes, header, subject) else {
        throw FileError(subject, "is a JPEG file cut short, or damaged: it ends within its pixels")
      }
      damage = reason
    case .failed(let reason): throw FileError(subject, "is a damaged or unusual JPEG file: \(reason)")
    }
    let pixels = header.components == 4 ? redGreenBlue(invertedCMYK: result.samples) : result.samples
    return LoadedImage(
      image: PixelImage(trustedWidth: header.width, height: header.height, pixels: pixels),
      orientation: header.metadata.orientation, damage: damage)
  }

  /// Whether all rows can be decoded before a decoder that is fed piece by piece, as Pillow's, asks for more.
  ///
  /// It never does where an end marker is found. Without one, the rows of a single scan may be complete.
  private static func hasEnough(_ bytes: [UInt8], _ header: JPEGHeader, _ subject: String) throws(FileError) -> Bool {
    if case .failed = try Decompression(bytes + barrier, header, subject).outcome {
      return header.hasOneScan && JPEGScan.isComplete(bytes, header)
    }
    return true
  }

  /// One run of TurboJPEG over a file.
  private struct Decompression {
    enum Outcome {
      case complete
      /// All rows are there, and this was the first warning.
      case warned(String)
      case failed(String)
    }

    /// Red, green and blue of every pixel, or the four inks.
    private(set) var samples: [UInt8]
    let outcome: Outcome

    init(_ bytes: [UInt8], _ header: JPEGHeader, _ subject: String) throws(FileError) {
      guard let decoder = tjInitDecompress() else {
        throw FileError(subject, "cannot be decoded: TurboJPEG does not start")
      }
      defer { tjDestroy(decoder) }
      let isCMYK = header.components == 4
      let channels = isCMYK ? 4 : 3
      let format = isCMYK ? TJPF_CMYK : TJPF_RGB
      var samples = [UInt8](repeating: 0, count: header.width * header.height * channels)
      /// Nil without an error or a warning.
      func message(_ flags: Int32) -> String? {
        let status = samples.withUnsafeMutableBufferPointer { target in
          bytes.withUnsafeBufferPointer { source in
            tjDecompress2(
              decoder, source.baseAddress, numericCast(source.count), target.baseAddress, Int32(header.width),
              Int32(header.width * channels), Int32(header.height), Int32(format.rawValue),
              Int32(TJFLAG_LIMITSCANS) | flags)
          }
        }
        if status == 0 { return nil }
        return tjGetErrorStr2(decoder).map { String(cString: $0) } ?? "TurboJPEG gives no reason"
      }
      // TurboJPEG reports an error after a warning as a warning, with the error's message. The first warning alone
      // has the same message only if no error came after it.
      if let warning = message(Int32(TJFLAG_STOPONWARNING)) {
        let isWarning = tjGetErrorCode(decoder) == Int32(TJERR_WARNING.rawValue)
        let last = isWarning ? message(0) : warning
        outcome = isWarning && last == warning ? .warned(warning) : .failed(last ?? warning)
      } else {
        outcome = .complete
      }
      self.samples = samples
    }
  }

  /// Pillow's arithmetic, without color profiles: `k − (255 − c) · k / 255`, rounded, for stored (inverted) c and k.
  private static func redGreenBlue(invertedCMYK samples: [UInt8]) -> [UInt8] {
    var pixels = [UInt8](repeating: 0, count: samples.count / 4 * 3)
    for pixel in 0..<(samples.count / 4) {
      let key = Int(samples[4 * pixel + 3])
      for channel in 0..<3 {
        let product = (255 - Int(samples[4 * pixel + channel])) * key + 128
        pixels[3 * pixel + channel] = UInt8(clamping: key - ((product >> 8) + product) >> 8)
      }
    }
    return pixels
  }
}
