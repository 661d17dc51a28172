// Where the test data is: `Fixtures/` at the root of the package, located relative to this source file.

import Foundation
import OperatorCases

/// The files under `Fixtures/` that ship with the package.
package enum Fixtures {
  /// The folder `Fixtures` of this checkout.
  package static let root = URL(filePath: #filePath)
    .deletingLastPathComponent()  // TestSupport
    .deletingLastPathComponent()  // Tests
    .deletingLastPathComponent()  // package
    .appending(path: "Fixtures")

  /// A file or folder below `Fixtures`, for example `golden/tiny.mvar.safetensors`.
  package static func url(_ path: String) -> URL {
    root.appending(path: path)
  }

  /// The path of a file or folder below `Fixtures`.
  package static func path(_ path: String) -> String {
    url(path).path(percentEncoded: false)
  }
}

extension GoldenValues {
  /// Opens `Fixtures/golden/<name>`.
  package init(_ name: String) throws { try self.init(path: Fixtures.path("golden/\(name)")) }
}

/// A separate folder for one test, removed afterward.
///
/// - Parameter body: receives the folder's path, without a trailing slash.
package func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appending(path: "mvar-test-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder.path(percentEncoded: false))
}
