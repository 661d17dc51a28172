// Compiling the kernels for the device present, through the cache on disk.

/// Compiles kernels for one kind of device.
package struct KernelCompiler: Sendable {
  /// The run-time compiler.
  package let compiler: NVRTC
  /// The target architecture: `sm_89`, or `compute_90` if the compiler does not support the device itself.
  package let architecture: String
  /// Where compiled kernels are kept.
  package let cache: KernelCache

  /// A compiler for devices of a capability.
  ///
  /// Machine code is generated if the compiler supports the device. A newer device gets PTX for the latest architecture
  /// that the compiler supports, which the driver translates.
  ///
  /// - Throws: `CUDAError.unsuitableLibrary` for a device older than any that the compiler supports.
  package init(_ compiler: NVRTC, for capability: ComputeCapability, cache: KernelCache) throws {
    if compiler.architectures.contains(capability.number) {
      self.init(compiler, architecture: "sm_\(capability.number)", cache: cache)
    } else if let latest = compiler.architectures.last(where: { $0 < capability.number }) {
      self.init(compiler, architecture: "compute_\(latest)", cache: cache)
    } else {
      throw CUDAError.unsuitableLibrary(
        "\(compiler.name), version \(compiler.version), does not compile for compute capability \(capability)")
    }
  }

  /// A compiler for an architecture: `sm_89` for machine code, `compute_80` for PTX.
  package init(_ compiler: NVRTC, architecture: String, cache: KernelCache) {
    self.compiler = compiler
    self.architecture = architecture
    self.cache = cache
  }

  /// A compiled file: from the cache, or compiled now and kept there.
  ///
  /// - Parameters:
  ///   - headers: the files that it may include
  ///   - isFresh: whether it is compiled even if the cache has it
  ///   - options: additional compiler options, such as `-Xptxas=-v` for registers and spills in the log.
  /// - Returns: the image, and the compiler's log if compilation was needed.
  /// - Throws: `CUDAError.compilation` with the compiler's log.
  package func compile(_ source: NVRTC.Text, headers: [NVRTC.Text], isFresh: Bool = false, options: [String] = [])
    throws
    -> (image: [UInt8], log: String?)
  {
    let options = ["--gpu-architecture=\(architecture)", "--std=c++17"] + options
    let key = key(source, headers: headers, options: options)
    if !isFresh, let image = cache.read(key) { return (image, nil) }
    let (image, log) = try compiler.compile(source, headers: headers, options: options)
    cache.write(image, key)
    return (image, log)
  }

  /// The name of the entry in the cache: everything that the result depends on.
  package func key(_ source: NVRTC.Text, headers: [NVRTC.Text], options: [String]) -> String {
    var texts = [compiler.version.description, "\(options.count)"] + options
    for text in [source] + headers { texts += [text.name, text.text] }
    return KernelCache.key(texts)
  }
}
