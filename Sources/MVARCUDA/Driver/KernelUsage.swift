// The multiprocessor resources that a kernel uses, as the compiler reports them in its log (option `-Xptxas=-v`).

/// The resources that one kernel uses.
package struct KernelUsage: Hashable, Sendable {
  /// The kernel's name.
  package let kernel: String
  /// Registers per thread.
  package var registers: Int
  /// Shared memory that the kernel declares, in bytes.
  package var sharedBytes: Int
  /// Stack bytes per thread.
  package var stackBytes: Int
  /// Bytes that a thread writes to memory and reads back for lack of registers.
  package var spilledBytes: Int

  /// The resources that a kernel uses.
  package init(kernel: String, registers: Int = 0, sharedBytes: Int = 0, stackBytes: Int = 0, spilledBytes: Int = 0) {
    self.kernel = kernel
    self.registers = registers
    self.sharedBytes = sharedBytes
    self.stackBytes = stackBytes
    self.spilledBytes = spilledBytes
  }

  /// The kernels in a log, in the log's order.
  ///
  /// The log has lines such as these for each kernel, in this order:
  ///
  ///     ptxas info    : Compiling entry function 'softmax' for 'sm_89'
  ///     ptxas         .     8 bytes stack frame, 8 bytes spill stores, 16 bytes spill loads
  ///     ptxas info    : Used 32 registers, used 1 barriers, 128 bytes smem, 372 bytes cmem[0]
  package static func parse(_ log: String) -> [KernelUsage] {
    var kernels: [KernelUsage] = []
    for line in log.split(separator: "\n") {
      if line.contains("Compiling entry function") {
        let parts = line.split(separator: "'")
        if parts.count > 1 { kernels.append(KernelUsage(kernel: String(parts[1]))) }
      }
      guard let last = kernels.indices.last else { continue }
      if let bytes = number(before: " bytes stack frame", in: line) { kernels[last].stackBytes = bytes }
      for kind in [" bytes spill stores", " bytes spill loads"] {
        if let bytes = number(before: kind, in: line) { kernels[last].spilledBytes += bytes }
      }
      if let count = number(before: " registers", in: line) { kernels[last].registers = count }
      if let bytes = number(before: " bytes smem", in: line) { kernels[last].sharedBytes = bytes }
    }
    return kernels
  }

  /// The number before the given words.
  private static func number(before words: String, in line: Substring) -> Int? {
    guard let place = line.firstRange(of: words) else { return nil }
    return line[..<place.lowerBound].split(separator: " ").last.flatMap { Int($0) }
  }
}
