// Compiling the kernels for the device at hand, through the cache on disk.

/// Compiles kernels for one kind of device.
package struct KernelCompiler: Sendable {
  /// The run-time compiler.
  package let compiler: NVRTC
  /// What is compiled for: `sm_89`, or `compute_90` where the compiler does not know the device itself.
  package let architecture: String
  /// Where compiled kernels are kept.
  package let cache: KernelCache

  /// A compiler for devices of a capability.
  ///
  /// Machine code is asked for where the compiler knows the device. A later device gets PTX of the latest architecture that
  /// the compiler knows, which the driver translates.
  ///
  /// - Throws: `CUDAError.unsuitableLibrary` for a device older than anything that the compiler knows.
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
  ///   - headers: what it may include
  ///   - options: more options of the compiler, such as `-Xptxas=-v` for registers and spills in the log.
  /// - Returns: the image, and what the compiler said if it was needed.
  /// - Throws: `CUDAError.compilation` with what the compiler said.
  package func compile(_ source: NVRTC.Text, headers: [NVRTC.Text], options: [String] = []) throws
    -> (image: [UInt8], log: String?)
  {
    let options = ["--gpu-architecture=\(architecture)", "--std=c++17"] + options
    let key = key(source, headers: headers, options: options)
    if let image = cache.read(key) { return (image, nil) }
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
