// Reads JPEG through TurboJPEG with its accurate integer transform and smooth chroma upsampling (flags 0), which gives,
// bit for bit, the result of Pillow's `Image.open(path).convert("RGB")`; CMYK follows Pillow's Adobe convention
// (inverted). Damaged data is refused, where Pillow silently fills in gray. Orientation tags and profiles are ignored.

import CMVARTurboJPEG
import MVARFiles

enum JPEGReader {
  /// A complete file has at least one bit per block, and at least one block per 128 pixels.
  private static let mostPixelsPerByte = 1024

  static func decode(_ bytes: [UInt8], subject: String) throws(FileError) -> PixelImage {
    guard let decoder = tjInitDecompress() else {
      throw FileError(subject, "cannot be decoded: TurboJPEG does not start")
    }
    defer { tjDestroy(decoder) }

    var width: Int32 = 0
    var height: Int32 = 0
    var subsampling: Int32 = -1
    var colorSpace: Int32 = -1
    let status = bytes.withUnsafeBufferPointer {
      tjDecompressHeader3(
        decoder, $0.baseAddress, numericCast($0.count), &width, &height, &subsampling, &colorSpace)
    }
    // An unusual subsampling fails here although it can be decoded; the size is known in that case.
    guard status == 0 || (width > 0 && height > 0 && colorSpace >= 0) else {
      throw damaged(subject, decoder)
    }
    if width < 1 || height < 1 { throw FileError(subject, "is a JPEG file without an image") }
    try ImageLimits.check(width: Int(width), height: Int(height), of: subject)
    if Int(width) * Int(height) / mostPixelsPerByte > bytes.count {
      throw FileError(subject, "claims \(width) × \(height) pixels, and its \(bytes.count) bytes cannot hold them")
    }

    let isCMYK = colorSpace == Int32(TJCS_CMYK.rawValue) || colorSpace == Int32(TJCS_YCCK.rawValue)
    let channels = isCMYK ? 4 : 3
    let format = isCMYK ? TJPF_CMYK : TJPF_RGB
    var samples = [UInt8](repeating: 0, count: Int(width) * Int(height) * channels)
    let decoded = samples.withUnsafeMutableBufferPointer { target in
      bytes.withUnsafeBufferPointer { source in
        tjDecompress2(
          decoder, source.baseAddress, numericCast(source.count), target.baseAddress, width,
          width * Int32(channels), height, Int32(format.rawValue), Int32(TJFLAG_LIMITSCANS))
      }
    }
    guard decoded == 0 else { throw damaged(subject, decoder) }
    return PixelImage(
      trustedWidth: Int(width), height: Int(height), pixels: isCMYK ? redGreenBlue(invertedCMYK: samples) : samples)
  }

  private static func damaged(_ subject: String, _ decoder: tjhandle) -> FileError {
    let reason = tjGetErrorStr2(decoder).map { String(cString: $0) } ?? "TurboJPEG gives no reason"
    return FileError(subject, "is a damaged or unusual JPEG file: \(reason)")
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
