// Files and folders as sides of a comparison: what each may hold, what is refused, and what two sides allow.

import Foundation
import MVARCheckpoints
import MVARFiles
import MVARMedia
import MVARMetrics
import MVARTestSupport
import TensorCore
import Testing

@Suite("Sides of a comparison")
struct MetricInputTests {
  private typealias Arrays = [(name: String, tensor: StoredTensor)]

  private func numbers(_ shape: [Int], seed: UInt64 = 1) throws -> StoredTensor {
    var random = RandomValues(seed: seed)
    return try StoredTensor(random.normal(Shape(shape)).numbers.map { Float($0) }, shape: shape)
  }

  private func bytes(_ shape: [Int]) throws -> StoredTensor {
    try StoredTensor(
      scalarType: .uint8, shape: shape, bytes: (0..<shape.reduce(1, *)).map { UInt8(truncatingIfNeeded: $0) })
  }

  private func open(_ arrays: Arrays, in folder: String, holdsFeatures: Bool = false) throws -> MetricInput {
    let path = "\(folder)/a.npz"
    try NPZWriter.write(arrays, to: path)
    return try MetricInput(path: path, holdsFeatures: holdsFeatures)
  }

  @Test("image files are taken as they are, those that cannot be read are left out on request")
  func files() throws {
    try withTemporaryFolder { folder in
      var images: [PixelImage] = []
      var files = ["a/0.png", "a/more/1.png", "b/0.png"].map { "\(folder)/\($0)" }
      for (index, path) in files.enumerated() {
        let image = try PixelImage(
          width: 5 + index, height: 7,
          pixels: (0..<21 * (5 + index)).map { UInt8(truncatingIfNeeded: $0 * (3 + index)) })
        try FileManager.default.createDirectory(
          atPath: PathName.prefix(of: path), withIntermediateDirectories: true)
        try image.writePNG(to: path)
        images.append(image)
      }
      func found(_ set: ImageSet) throws -> [PixelImage] {
        var all: [PixelImage] = []
        try set.forEachBatch(2) { all += $0 }
        return all
      }
      let whole = try ImageSet(files: files, of: folder)
      #expect(whole.count == 3)
      #expect(try found(whole).map(\.pixels) == images.map(\.pixels))
      files.append("\(folder)/b/1.png")
      try Data([1, 2, 3]).write(to: URL(filePath: files[3]))
      var problems: [String] = []
      let rest = try ImageSet(files: files, of: folder, skipsBadFiles: true) { problems.append($0) }
      #expect(rest.count == 3 && problems.count == 1 && problems[0].hasPrefix("\(folder)/b/1.png: "))
      #expect(throws: FileError.self) { _ = try found(ImageSet(files: files, of: folder)) }
    }
  }

  @Test("a file that names statistics is one of statistics, also where features are expected")
  func namedStatistics() throws {
    try withTemporaryFolder { folder in
      let sigma = try StoredTensor([Double]([1, 0, 0, 1]), shape: [2, 2])
      let mu = try StoredTensor([Double]([3, 4]), shape: [2])
      let input = try open([("mu", mu), ("sigma", sigma)], in: folder, holdsFeatures: true)
      #expect(input.features.pooled == nil && input.pooledStatistics != nil)
    }
  }

  @Test("images, features and statistics, also in one file")
  func contents() throws {
    try withTemporaryFolder { folder in
      let identity = try StoredTensor([Double]([1, 0, 0, 1]), shape: [2, 2])
      let mean = try StoredTensor([Double]([3, 4]), shape: [2])
      let all = try open(
        [
          ("arr_0", try bytes([5, 4, 6, 3])), ("mu", mean), ("sigma", identity), ("mu_s", mean), ("sigma_s", identity),
        ], in: folder)
      #expect(all.images?.count == 5 && all.features.pooled == nil)
      #expect(try all.pooled()?.mean == [3, 4] && all.spatial()?.trace == 2)
      var seen: [Int] = []
      try all.images?.forEachBatch(2) { batch in
        seen.append(batch.count)
        #expect(batch.allSatisfy { $0.width == 6 && $0.height == 4 })
      }
      #expect(seen == [2, 2, 1])
      let last = try #require(try all.images?.first())
      #expect(last.pixels.prefix(4) == [0, 1, 2, 3])

      let any = try open([("x", try numbers([6, 3]))], in: folder, holdsFeatures: true)
      #expect(any.features.pooled?.rows == 6 && any.images == nil)
      #expect(try any.pooled()?.count == 3)

      let cache = ImageFeatures(
        pooled: try FeatureMatrix(numbers([6, 3]), name: "x"), spatial: try FeatureMatrix(numbers([6, 2]), name: "x"),
        logits: try FeatureMatrix(numbers([6, 4]), name: "x"))
      try FeatureCache.write(cache, network: .max, to: "\(folder)/c.npz")
      let again = try MetricInput(path: "\(folder)/c.npz", holdsFeatures: false)
      #expect(again.features.pooled == cache.pooled && again.features.spatial == cache.spatial)
      #expect(again.features.logits == cache.logits && again.network == .max)
    }
  }

  @Test("what cannot be used is refused in one sentence")
  func mistakes() throws {
    try withTemporaryFolder { folder in
      func expect(_ sentence: String, features: Bool = false, _ arrays: Arrays) throws {
        let error = #expect(throws: FileError.self) { _ = try open(arrays, in: folder, holdsFeatures: features) }
        #expect(error.map { "\($0)" } == "\(folder)/a.npz: \(sentence)")
      }
      let images = "and images are uint8 [N, H, W, 3] with at least one"
      try expect("the array arr_0 is float32 [2, 4, 4, 3], \(images)", [("arr_0", try numbers([2, 4, 4, 3]))])
      try expect("the array arr_0 is uint8 [2, 3, 4, 4], \(images)", [("arr_0", try bytes([2, 3, 4, 4]))])
      try expect("the array arr_0 is uint8 [0, 4, 4, 3], \(images)", [("arr_0", try bytes([0, 4, 4, 3]))])
      try expect("has mu, but no sigma", [("mu", try numbers([2]))])
      try expect("has sigma_s, but no mu_s", [("sigma_s", try numbers([2, 2]))])
      try expect(
        "mu has shape [2] and sigma [3, 3], and they are [D] and [D, D]",
        [("mu", try numbers([2])), ("sigma", try numbers([3, 3]))])
      try expect(
        "the covariance matrix has the eigenvalue -1.0, and none of a covariance is negative",
        [("mu", try numbers([2])), ("sigma", try StoredTensor([Float]([-1, 0, 0, 1]), shape: [2, 2]))])
      try expect(
        "its features are of 3, 4 images", [("pooled", try numbers([3, 2])), ("logits", try numbers([4, 2]))])
      try expect(
        "the array pooled holds inf at [0, 1]",
        [("pooled", try StoredTensor([Float]([0, .infinity]), shape: [1, 2]))])
      try expect("network is no checksum", [("pooled", try numbers([3, 2])), ("network", try numbers([2]))])
      try expect("the array pooled has shape [6], and features are [images, features]", [("pooled", try numbers([6]))])
      try expect(
        "holds neither images (arr_0), features (pooled) nor statistics (mu, sigma), but x",
        [("x", try numbers([2, 2]))])
      try expect(
        "holds 2 matrices; name that of the features pooled", features: true,
        [("x", try numbers([2, 2])), ("y", try numbers([2, 2]))])
      try expect(
        "holds no features: no array of floating-point numbers [images, features]", features: true,
        [("x", try bytes([2, 2]))])
      let empty = #expect(throws: FileError.self) { _ = try MetricInput(path: folder + "/none", holdsFeatures: false) }
      #expect(empty != nil)
      try FileManager.default.createDirectory(atPath: "\(folder)/empty", withIntermediateDirectories: true)
      let none = #expect(throws: FileError.self) { _ = try MetricInput(path: "\(folder)/empty", holdsFeatures: false) }
      #expect(none?.reason == "the folder holds no images (.png, .jpg)")
    }
  }

  @Test("a folder of images, in the order of their names")
  func folder() throws {
    try withTemporaryFolder { folder in
      for (name, gray) in [("b.png", 2), ("a.png", 1), ("c.PNG", 3)] {
        try PixelImage(width: gray, height: 1, filledWith: .init(gray: UInt8(gray))).writePNG(to: "\(folder)/\(name)")
      }
      try Data("x".utf8).write(to: URL(filePath: "\(folder)/note.txt"))
      let set = try ImageSet(folder: folder)
      var widths: [Int] = []
      try set.forEachBatch(2) { widths += $0.map(\.width) }
      #expect(widths == [1, 2, 3] && set.count == 3)
      try Data("x".utf8).write(to: URL(filePath: "\(folder)/d.png"))
      let error = #expect(throws: FileError.self) { try ImageSet(folder: folder).forEachBatch(9) { _ in } }
      #expect(error?.path == "\(folder)/d.png")
    }
  }

  @Test("a report has a value or a reason for every measure")
  func report() throws {
    try withTemporaryFolder { folder in
      let identity = try StoredTensor([Double]([1, 0, 0, 1]), shape: [2, 2])
      let mean = try StoredTensor([Double]([3, 4]), shape: [2])
      let statistics = try open([("mu", mean), ("sigma", identity)], in: folder)
      let features = MetricInput(
        path: "f", features: ImageFeatures(pooled: try FeatureMatrix(numbers([9, 2]), name: "x")))
      let report = try MetricReport(samples: features, references: statistics)
      #expect(report.fid.value.map { $0 > 0 } == true && report.fid.reason == nil)
      #expect(report.sfid.reason == "f has no spatial features or statistics (mu_s, sigma_s)")
      #expect(report.inceptionScore.reason == "f has no logits, and the score needs those of every sample")
      let reason = "\(folder)/a.npz has no features of single images, and distances between them are needed"
      #expect(report.precision.reason == reason && report.recall.reason == reason)
      let same = try MetricReport(samples: features, references: features)
      #expect(same.fid.value == 0 && same.precision.value == 1 && same.recall.value == 1)
    }
  }

  @Test("a random order is always the same, and keeps every image")
  func shuffled() throws {
    // Sorted images: one class in each part; mixed: both.
    let sorted = FeatureMatrix(
      (0..<10_000).flatMap { $0 < 5000 ? [Float(9), 0] : [0, 9] }, rows: 10_000, columns: 2)
    let input = MetricInput(path: "f", features: ImageFeatures(logits: sorted))
    let (plain, mixed) = (
      try MetricReport(samples: input, references: input),
      try MetricReport(samples: input, references: input, shuffles: true)
    )
    #expect(abs((plain.inceptionScore.value ?? 0) - 1) < 1e-9)
    #expect((mixed.inceptionScore.value ?? 0) > 1.9)
    #expect(try MetricReport(samples: input, references: input, shuffles: true) == mixed)
  }
}
