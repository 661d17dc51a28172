// Where an engine gets its kernels from: compiled in advance, or by the run-time compiler.
//
// A machine with nothing but a driver runs kernels that another machine has compiled. They are in a folder, in files
// named by a hash of the kernels' text, so those of another version of the package are never used.

import Foundation

/// The compiled kernels of one kind of device.
package struct KernelImages: Sendable {
  /// The architectures that images in the folder may be compiled for, best first.
  private let architectures: [String]
  private let prepared: KernelCache
  private let compiler: KernelCompiler?

  /// PTX that every supported device can translate for itself.
  package static let commonArchitecture = "compute_80"

  /// The kernels for a device.
  ///
  /// - Parameters:
  ///   - prepared: the folder of kernels that were compiled in advance
  ///   - compiler: finds the compiler; not called if the folder has all kernels.
  /// - Throws: what finding the compiler throws.
  package init(
    for capability: ComputeCapability, prepared: KernelCache, compiler: () throws -> KernelCompiler
  ) throws {
    let architectures = ["sm_\(capability.number)"] + (capability.number >= 80 ? [Self.commonArchitecture] : [])
    self.architectures = architectures
    self.prepared = prepared
    let isComplete = KernelTexts.files.values.allSatisfy { Self.read($0, architectures, prepared) != nil }
    self.compiler = isComplete ? nil : try compiler()
  }

  /// The kernels for a device of this machine: from the folder that `MVAR_CUDA_KERNELS` names, or compiled by the
  /// run-time compiler and kept in the user's cache.
  ///
  /// - Throws: `CUDAError` when there is neither.
  package init(for device: CUDADevice, environment: [String: String] = ProcessInfo.processInfo.environment) throws {
    let capability = device.properties.computeCapability
    try self.init(for: capability, prepared: KernelCache(folder: Self.preparedFolder(environment))) {
      try KernelCompiler(NVRTC.find(for: device.driver.version), for: capability, cache: KernelCache())
    }
  }

  /// The folder of kernels that were compiled in advance, if the environment names one.
  package static func preparedFolder(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> String? {
    environment["MVAR_CUDA_KERNELS"].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The compiled form of a file.
  ///
  /// - Throws: `CUDAError`.
  package func image(_ file: String) throws -> [UInt8] {
    guard let source = KernelTexts.files[file] else { throw CUDAError.noKernel("file \(file)") }
    if let image = Self.read(source, architectures, prepared) { return image }
    guard let compiler else { throw CUDAError.noKernel("file \(file)") }
    return try compiler.compile(source, headers: KernelTexts.headers).image
  }

  /// A file compiled now, for the case that the driver refuses the image that was kept.
  ///
  /// - Returns: nil without a compiler.
  /// - Throws: `CUDAError`.
  package func recompiled(_ file: String) throws -> [UInt8]? {
    guard let compiler, let source = KernelTexts.files[file] else { return nil }
    return try compiler.compile(source, headers: KernelTexts.headers, isFresh: true).image
  }

  /// Stores a compiled file in a folder for machines without a compiler.
  ///
  /// - Parameter architecture: the architecture that it is compiled for.
  package static func prepare(_ image: [UInt8], of source: NVRTC.Text, for architecture: String, in folder: KernelCache)
  {
    folder.write(image, key(source, architecture))
  }

  private static func read(_ source: NVRTC.Text, _ architectures: [String], _ folder: KernelCache) -> [UInt8]? {
    if folder.folder == nil { return nil }
    return architectures.lazy.compactMap { folder.read(key(source, $0)) }.first
  }

  private static func key(_ source: NVRTC.Text, _ architecture: String) -> String {
    KernelCache.key([architecture] + ([source] + KernelTexts.headers).flatMap { [$0.name, $0.text] })
  }
}
