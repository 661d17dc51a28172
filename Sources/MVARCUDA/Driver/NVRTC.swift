// NVIDIA's run-time compiler: CUDA C++ text in, machine code for one kind of GPU out. It needs no GPU and, because the
// kernels include nothing but each other, no header from the toolkit.

import Foundation
import MVARFiles

/// The run-time compiler.
package final class NVRTC: Sendable {
  /// The name or path that it was loaded by.
  package let name: String
  /// Its version.
  package let version: CUDAVersion
  /// The architectures that it supports, in ascending order: 89 is `sm_89`.
  package let architectures: [Int]
  private let functions: Functions

  /// A source text and the name by which the compiler knows it.
  package struct Text: Hashable, Sendable {
    package let name: String
    package let text: String

    /// A named text.
    package init(name: String, text: String) {
      self.name = name
      self.text = text
    }
  }

  /// Loads the compiler.
  ///
  /// - Parameters:
  ///   - path: its file, or a name that the system looks up
  ///   - driver: the driver that will load what is compiled, which does not support code of a later major version; nil
  ///     for none.
  /// - Throws: `DynamicLibraryError`, `CUDAError`.
  package init(_ path: String, for driver: CUDAVersion? = nil) throws {
    let library = try DynamicLibrary(path)
    let functions = try Functions(SymbolTable(library: path) { library.symbol($0) })
    var (major, minor): (Int32, Int32) = (0, 0)
    try functions.check(functions.version(&major, &minor), "nvrtcVersion")
    version = CUDAVersion(major: Int(major), minor: Int(minor))
    try version.check(isKnownTo: driver)
    guard version.major >= 12 else { throw CUDAError.unsuitableLibrary("version \(version) is older than 12.0") }
    // Some versions do not look for this component in their own folder. If it is already loaded, it is found by its
    // name; if it is missing, the first compilation reports that.
    if let folder = library.folder(of: "nvrtcVersion") {
      _ = try? DynamicLibrary("\(folder)libnvrtc-builtins.so.\(version)", isGlobal: true)
    }
    var count: Int32 = 0
    try functions.check(functions.architectureCount(&count), "nvrtcGetNumSupportedArchs")
    var numbers = [Int32](repeating: 0, count: max(Int(count), 1))
    try functions.check(functions.architectures(&numbers), "nvrtcGetSupportedArchs")
    architectures = numbers.map { Int($0) }.sorted()
    self.functions = functions
    name = path
  }

  /// The compiler that a search finds.
  ///
  /// - Parameter driver: as for a file.
  /// - Throws: `CUDAError.libraryNotFound` with every location that was tried.
  package static func find(_ search: LibrarySearch = LibrarySearch(), for driver: CUDAVersion?) throws -> NVRTC {
    try search.load(.nvrtc) { try NVRTC($0, for: driver) }
  }

  /// Compiles a text.
  ///
  /// - Parameters:
  ///   - headers: the files that the text may include, by name
  ///   - options: as on the compiler's command line; `--gpu-architecture=sm_89` produces CUBIN, `compute_89` PTX.
  /// - Returns: CUBIN, or PTX with a zero at its end; and the compiler's log.
  /// - Throws: `CUDAError.compilation` with the log.
  package func compile(_ source: Text, headers: [Text], options: [String]) throws -> (image: [UInt8], log: String) {
    let architecture = options.first { $0.hasPrefix("--gpu-architecture=") }?.drop { $0 != "=" }.dropFirst() ?? ""
    var program: CUDAHandle = 0
    try withCStrings(headers.map(\.text)) { texts in
      try withCStrings(headers.map(\.name)) { names in
        try functions.check(
          functions.create(&program, source.text, source.name, Int32(headers.count), texts, names),
          "nvrtcCreateProgram")
      }
    }
    defer { _ = functions.destroy(&program) }
    let status = withCStrings(options) { functions.compile(program, Int32(options.count), $0) }
    let logBytes = try bytes(functions.logSize, functions.log, of: program)
    let log = String(decoding: logBytes.prefix { $0 != 0 }, as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    guard status == 0 else {
      throw CUDAError.compilation(
        file: source.name, architecture: String(architecture), log: log.isEmpty ? functions.text(status) : log)
    }
    let isMachineCode = architecture.hasPrefix("sm_")
    let size = isMachineCode ? functions.cubinSize : functions.ptxSize
    let image = try bytes(size, isMachineCode ? functions.cubin : functions.ptx, of: program)
    return (image, log)
  }

  /// An output of a program, whose length another function returns.
  private func bytes(_ size: Functions.Size, _ contents: Functions.Contents, of program: CUDAHandle) throws -> [UInt8] {
    var count = 0
    try functions.check(size(program, &count), "the size of a compiled program")
    var bytes = [UInt8](repeating: 0, count: max(count, 1))
    try functions.check(contents(program, &bytes), "reading a compiled program")
    return Array(bytes.prefix(count))
  }

  /// Texts as C strings.
  private func withCStrings<Result>(
    _ texts: [String], _ body: (UnsafeMutablePointer<UnsafePointer<CChar>?>?) throws -> Result
  ) rethrows -> Result {
    let copies = texts.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    var pointers = copies.map { UnsafePointer($0) }
    return try pointers.withUnsafeMutableBufferPointer { try body($0.baseAddress) }
  }
}

extension NVRTC {
  /// The compiler's functions. Each returns a status, 0 for success.
  private struct Functions: Sendable {
    typealias Size = @convention(c) (CUDAHandle, UnsafeMutablePointer<Int>) -> Int32
    typealias Contents = @convention(c) (CUDAHandle, UnsafeMutablePointer<UInt8>) -> Int32
    typealias CStrings = UnsafeMutablePointer<UnsafePointer<CChar>?>

    let version: @convention(c) (UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Int32>) -> Int32
    let errorText: @convention(c) (Int32) -> UnsafePointer<CChar>?
    let architectureCount: @convention(c) (UnsafeMutablePointer<Int32>) -> Int32
    let architectures: @convention(c) (UnsafeMutablePointer<Int32>) -> Int32
    /// (text, name, number of headers, their texts, their names) → program
    let create:
      @convention(c) (
        UnsafeMutablePointer<CUDAHandle>, UnsafePointer<CChar>, UnsafePointer<CChar>, Int32, CStrings?, CStrings?
      ) -> Int32
    let destroy: @convention(c) (UnsafeMutablePointer<CUDAHandle>) -> Int32
    /// (program, number of options, the options)
    let compile: @convention(c) (CUDAHandle, Int32, CStrings?) -> Int32
    let logSize: Size
    let log: Contents
    let cubinSize: Size
    let cubin: Contents
    let ptxSize: Size
    let ptx: Contents

    init(_ table: SymbolTable) throws {
      version = try table.function("nvrtcVersion")
      errorText = try table.function("nvrtcGetErrorString")
      architectureCount = try table.function("nvrtcGetNumSupportedArchs")
      architectures = try table.function("nvrtcGetSupportedArchs")
      create = try table.function("nvrtcCreateProgram")
      destroy = try table.function("nvrtcDestroyProgram")
      compile = try table.function("nvrtcCompileProgram")
      logSize = try table.function("nvrtcGetProgramLogSize")
      log = try table.function("nvrtcGetProgramLog")
      cubinSize = try table.function("nvrtcGetCUBINSize")
      cubin = try table.function("nvrtcGetCUBIN")
      ptxSize = try table.function("nvrtcGetPTXSize")
      ptx = try table.function("nvrtcGetPTX")
    }

    /// The compiler's message for a status.
    func text(_ status: Int32) -> String { errorText(status).map { String(cString: $0) } ?? "an unknown error" }

    func check(_ status: Int32, _ function: String) throws {
      guard status != 0 else { return }
      throw CUDAError.failedCall(function: function, code: status, name: text(status), text: "in the run-time compiler")
    }
  }
}
