// The version of the package, in one place: whatever writes a version writes this one.

/// The version of the package.
package enum Version {
  /// Major, minor and patch, as in the changelog and in tags.
  package static let current = "0.2.0"
}
