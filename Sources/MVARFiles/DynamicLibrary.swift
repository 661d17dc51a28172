// Libraries that are loaded at run time. They are never closed: the driver and the compiler register things that
// outlive their last use.

import Foundation

/// A loaded shared library.
package struct DynamicLibrary: Sendable {
  /// What it was loaded by: a name that the system looked up, or a file.
  package let name: String
  /// The system's handle, as an integer: the library is never unloaded, so it may be used from anywhere.
  private let handle: UInt

  /// Loads a library by name or path.
  ///
  /// - Parameter isGlobal: whether libraries loaded later may use its symbols.
  /// - Throws: `DynamicLibraryError` with the system's message.
  package init(_ name: String, isGlobal: Bool = false) throws {
    guard let handle = dlopen(name, RTLD_NOW | (isGlobal ? RTLD_GLOBAL : RTLD_LOCAL)) else {
      var reason = dlerror().map { String(cString: $0) } ?? "no reason was given"
      // The system puts the name first.
      if reason.hasPrefix("\(name): ") { reason.removeFirst(name.count + 2) }
      throw DynamicLibraryError(description: reason)
    }
    self.name = name
    self.handle = UInt(bitPattern: handle)
  }

  /// The address of a function or variable, or nil.
  package func symbol(_ name: String) -> UnsafeMutableRawPointer? {
    dlsym(UnsafeMutableRawPointer(bitPattern: handle), name)
  }

  /// The folder of the file that contains a symbol, with a trailing slash; nil if the system does not report it.
  package func folder(of symbol: String) -> String? {
    // dladdr(address, room for four pointers, the first of which is set to the file's name), which Swift's module for
    // the C library does not expose.
    typealias Locate = @convention(c) (UnsafeRawPointer, UnsafeMutablePointer<UnsafePointer<CChar>?>) -> Int32
    guard let address = self.symbol(symbol), let process = dlopen(nil, RTLD_NOW), let dladdr = dlsym(process, "dladdr")
    else { return nil }
    var information = [UnsafePointer<CChar>?](repeating: nil, count: 4)
    guard unsafeBitCast(dladdr, to: Locate.self)(address, &information) != 0, let file = information[0] else {
      return nil
    }
    let folder = PathName.prefix(of: String(cString: file))
    return folder.isEmpty ? nil : folder
  }
}

/// The system's message about a library that it could not load.
package struct DynamicLibraryError: Error, CustomStringConvertible {
  package let description: String
}

/// One location where a library was looked for without success.
public struct LibraryAttempt: Hashable, Sendable {
  /// A name, a file or a folder.
  public let place: String
  /// Why it failed.
  public let reason: String

  /// An attempt and why it failed.
  public init(place: String, reason: String) {
    self.place = place
    self.reason = reason
  }
}
