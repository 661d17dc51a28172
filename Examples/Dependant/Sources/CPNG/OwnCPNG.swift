// A module of this package whose name MVAR must not take.

/// What the module of this name has to offer.
public enum OwnCPNG {
  /// Its name.
  public static let name = "CPNG"
}
