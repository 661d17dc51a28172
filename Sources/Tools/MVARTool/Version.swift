// The version of the package, defined in one place only.

/// The version of the package.
package enum Version {
  /// Major, minor and patch, as in the changelog and in tags.
  package static let current = "0.2.0"
}
