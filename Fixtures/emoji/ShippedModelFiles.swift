// The files of the shipped model as resources of this package, for programs that are built with it. Nothing here reads them.

import Foundation

/// Where the shipped model may be: beside the program, where a build puts resources, or where the package was built from.
package enum ShippedModelFiles {
  /// The folders to look into, best first. Unlike the accessor that a build generates, this stops no program.
  package static let folders: [URL] = [
    Bundle.main.bundleURL.appending(path: "MVAR_MVARShippedModel.resources"),
    Bundle.main.bundleURL.appending(path: "MVAR_MVARShippedModel.bundle"),
    URL(filePath: #filePath).deletingLastPathComponent(),
  ]
}
