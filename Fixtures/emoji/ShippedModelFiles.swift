// The files of the shipped model as resources of this package, for programs built with it. Nothing here reads them.

import Foundation

/// Where the shipped model may be: beside the program, where a build places resources, or in the folder that the
/// package was built from.
package enum ShippedModelFiles {
  /// The folders to look in, best first. Unlike the accessor that a build generates, this never stops the program.
  package static let folders: [URL] = [
    Bundle.main.bundleURL.appending(path: "MVAR_MVARShippedModel.resources"),
    Bundle.main.bundleURL.appending(path: "MVAR_MVARShippedModel.bundle"),
    URL(filePath: #filePath).deletingLastPathComponent(),
  ]
}
