// Launching the faulty kernels, and the emulator's reports.

import CUDAEmulator
import CUDAFaultyKernels
import MVARCUDA
import Testing

enum Faulty {
  /// The kernels' input x.
  static let numbers = (0..<512).map { Float($0) + 0.5 }
  /// The correct result of all kernels that reverse: each run of 256 values reversed.
  static let reversed = Array(numbers[..<256].reversed() + numbers[256...].reversed())

  /// A pool whose buffers are all checked.
  static func pool() throws -> DeviceMemoryPool {
    faulty_kernels_add()
    return DeviceMemoryPool(try CUDAStream(CUDADevice(Emulator.driver())), policy: .exact)
  }

  /// Runs a kernel on y and x.
  ///
  /// - Parameters:
  ///   - numbers: the number of elements of y and x
  ///   - count: whether the kernel takes that number as an argument
  ///   - dynamicBytes: shared memory given at launch.
  /// - Returns: y
  static func run(
    _ kernel: String, blocks: Int = 2, numbers count: Int = 512, count takesCount: Bool = false, dynamicBytes: Int = 0,
    schedule: UInt32 = 0
  ) throws -> [Float] {
    let pool = try pool()
    let (y, x) = (try pool.makeBuffer(byteCount: 4 * count), try pool.makeBuffer(byteCount: 4 * count))
    try numbers[..<count].withUnsafeBytes { try pool.stream.upload($0, to: x) }
    var arguments: [KernelArgument] = [.pointer(y, offset: 0), .pointer(x, offset: 0)]
    if takesCount { arguments.append(.long(count)) }
    try launch(kernel, on: pool, blocks: blocks, dynamicBytes: dynamicBytes, schedule: schedule, arguments)
    return try read(y, count: count, pool)
  }

  /// The emulator's report on a kernel that takes y, x if requested, and a count if given.
  static func report(
    _ kernel: String, x takesX: Bool? = nil, count: Int? = nil, threads: Int = 256, dynamicBytes: Int = 0,
    schedule: UInt32 = 0
  ) -> String {
    message {
      let pool = try pool()
      let byteCount = 4 * (count ?? 256)
      let (y, x) = (try pool.makeBuffer(byteCount: byteCount), try pool.makeBuffer(byteCount: byteCount))
      try pool.stream.fill(x, word: 0, count: byteCount / 4)
      var arguments = [KernelArgument.pointer(y, offset: 0)]
      let takesX = takesX ?? (cudaemu_signature(kernel).map { String(cString: $0) } == "pp")
      if takesX { arguments.append(.pointer(x, offset: 0)) }
      if let count { arguments.append(.long(count)) }
      try launch(
        kernel, on: pool, blocks: 1, threads: threads, dynamicBytes: dynamicBytes, schedule: schedule, arguments)
    }
  }

  /// Launches a kernel under a schedule.
  static func launch(
    _ kernel: String, on pool: DeviceMemoryPool, blocks: Int, threads: Int = 256, dynamicBytes: Int = 0,
    schedule: UInt32 = 0, _ arguments: [KernelArgument]
  ) throws {
    cudaemu_set_schedule(schedule)
    defer { cudaemu_set_schedule(0) }
    let declared = cudaemu_signature(kernel).map { String(cString: $0) }
    #expect(declared == String(arguments.map(\.letter)), "\(kernel)")
    let module = try CUDAModule(Emulator.image("Faulty.cu"), on: pool.stream.device)
    let shape = LaunchShape(blocks, threads: threads, sharedBytes: dynamicBytes)
    try module.kernel(kernel).launch(on: pool.stream, shape, arguments)
  }

  /// The values in a buffer.
  static func read(_ buffer: CUDABuffer, count: Int, _ pool: DeviceMemoryPool) throws -> [Float] {
    var numbers = [Float](repeating: 0, count: count)
    try numbers.withUnsafeMutableBytes { try pool.stream.download(buffer, into: $0) }
    return numbers
  }

  /// The emulator's message about what a piece of code does wrong, with an issue if it does nothing wrong.
  static func message(_ body: () throws -> Void) -> String {
    guard cudaError(body) != nil else { return "" }
    return String(cString: cudaemu_error())
  }
}
