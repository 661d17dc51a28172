// The driver's table, memory, copies, kernels and events, on the emulated device.

import CUDAEmulator
import MVARCUDA
import Testing

extension EmulatedDevice {
  @Suite struct DriverDeviceTests {
    @Test func whatTheDriverSays() throws {
      let driver = try Emulator.driver()
      let devices = try driver.devices()
      #expect(driver.name == "emulator" && driver.version.major >= 12 && devices.count == 1)
      #expect(devices[0].computeCapability == ComputeCapability(major: 8, minor: 9))
      #expect(devices[0].memoryBytes > 0 && devices[0].multiprocessorCount > 0 && !devices[0].name.isEmpty)
      let memory = try CUDADevice(driver).memory()
      #expect(memory.free > 0 && memory.free <= memory.total)
    }

    @Test func missingFunctionIsNamed() {
      let error = cudaError { _ = try CUDADriver(name: "old") { $0 == "cuLaunchKernel" ? nil : cudaemu_symbol($0) } }
      #expect(error == .functionMissing("cuLaunchKernel", library: "old"))
      #expect(error?.description == "old has no function cuLaunchKernel")
    }

    @Test func deviceThatDoesNotExist() throws {
      let driver = try Emulator.driver()
      for ordinal in [1, -1] {
        let error = cudaError { _ = try CUDADevice(driver, ordinal: ordinal) }
        #expect(error == .noDevice(ordinal: ordinal, count: 1))
      }
    }

    @Test func failuresHaveTheDriversWords() throws {
      let stream = try CUDAStream(CUDADevice(Emulator.driver()))
      let module = try CUDAModule(Emulator.image("Elementwise.cu"), on: stream.device)
      let error = cudaError { _ = try module.kernel("no such kernel") }
      #expect(
        error?.description
          == "cuModuleGetFunction of no such kernel failed: CUDA_ERROR_NOT_FOUND (500), named symbol not found")
      #expect(throws: CUDAError.self) { _ = try CUDAModule(Emulator.image("NoSuchFile.cu"), on: stream.device) }
      #expect(throws: CUDAError.self) { _ = try CUDAModule([], on: stream.device) }
    }

    @Test func copies() throws {
      let pool = DeviceMemoryPool(try CUDAStream(CUDADevice(Emulator.driver())))
      let (a, b) = (try pool.makeBuffer(byteCount: 16), try pool.makeBuffer(byteCount: 16))
      let numbers: [Int32] = [1, -2, 3, -4]
      try numbers.withUnsafeBytes { try pool.stream.upload($0, to: a) }
      try pool.stream.fill(b, word: 7, count: 4)
      try pool.stream.copy(8, from: a, at: 4, to: b, at: 8)
      try pool.stream.fill(b, at: 4, word: 9, count: 1)
      var read = [Int32](repeating: 0, count: 4)
      try read.withUnsafeMutableBytes { try pool.stream.download(b, into: $0) }
      #expect(read == [7, 9, -2, 3])
      // An empty copy is valid too.
      try pool.stream.copy(0, from: a, at: 16, to: b)
      try pool.stream.fill(a, word: 0, count: 0)
      try pool.stream.upload(UnsafeRawBufferPointer(start: nil, count: 0), to: a)
    }

    @Test func copiesOutOfBounds() throws {
      let pool = DeviceMemoryPool(try CUDAStream(CUDADevice(Emulator.driver())))
      let (a, b) = (try pool.makeBuffer(byteCount: 16), try pool.makeBuffer(byteCount: 8))
      var bytes = [UInt8](repeating: 0, count: 17)
      let attempts: [() throws -> Void] = [
        { try bytes.withUnsafeBytes { try pool.stream.upload($0, to: a) } },
        { try bytes.withUnsafeMutableBytes { try pool.stream.download(a, into: $0) } },
        { try pool.stream.copy(16, from: a, to: b) },
        { try pool.stream.copy(4, from: a, at: 13, to: b) },
        { try pool.stream.copy(4, from: a, at: -1, to: b) },
        { try pool.stream.copy(4, from: a, at: .max, to: b) },
        { try pool.stream.copy(-4, from: a, to: b) },
        { try pool.stream.fill(b, at: 4, word: 0, count: 2) },
      ]
      for attempt in attempts {
        let error = cudaError(attempt)
        if case .outOfBounds = error { continue }
        Issue.record("\(String(describing: error))")
      }
      #expect(
        CUDAError.outOfBounds(offset: 4, byteCount: 8, bufferBytes: 8).description
          == "a copy of 8 bytes at 4 does not fit a buffer of 8 bytes")
    }

    @Test func memoryIsUsedAgain() throws {
      let before = cudaemu_live_allocations()
      do {
        let pool = DeviceMemoryPool(try CUDAStream(CUDADevice(Emulator.driver())))
        var first: CUDABuffer? = try pool.makeBuffer(byteCount: 5000)
        let second = try pool.makeBuffer(byteCount: 3 << 20)
        #expect(first?.byteCount == 5000 && second.byteCount == 3 << 20)
        #expect(pool.use.used == 5120 + (3 << 20))
        first = nil
        #expect(pool.use.idle == 5120 && pool.use.peak == 5120 + (3 << 20))
        let allocations = cudaemu_live_allocations()
        let third = try pool.makeBuffer(byteCount: 4800)
        #expect(cudaemu_live_allocations() == allocations && pool.use.idle == 0)
        // An idle block that is far too large is not used.
        let small = try pool.makeBuffer(byteCount: 0)
        #expect(cudaemu_live_allocations() == allocations + 1)
        withExtendedLifetime((second, third, small)) {}
        pool.resetPeak()
        try pool.drain()
      }
      #expect(cudaemu_live_allocations() == before)
    }

    @Test func idleMemoryMakesRoom() throws {
      // A driver that refuses the second allocation until something is freed.
      Refusal.allocations = 0
      let refuse: @convention(c) (UnsafeMutablePointer<UInt64>, Int) -> Int32 = { address, count in
        Refusal.allocations += 1
        if Refusal.allocations == 2 || count > 1 << 30 { return 2 }
        typealias Allocate = @convention(c) (UnsafeMutablePointer<UInt64>, Int) -> Int32
        return unsafeBitCast(cudaemu_symbol("cuMemAlloc_v2"), to: Allocate.self)(address, count)
      }
      let driver = try Emulator.driver { $0 == "cuMemAlloc_v2" ? Emulator.address(refuse) : nil }
      let pool = DeviceMemoryPool(try CUDAStream(CUDADevice(driver)))
      _ = try pool.makeBuffer(byteCount: 512)
      #expect(pool.use.idle == 512)
      let large = try pool.makeBuffer(byteCount: 100_000)
      #expect(pool.use.idle == 0 && Refusal.allocations == 3)
      let error = cudaError { _ = try pool.makeBuffer(byteCount: 1 << 31) }
      #expect(
        error?.description
          == "\(pool.stream.device.properties.name) has no room for 2147483648 bytes more; 100352 are in use by this "
          + "process")
      withExtendedLifetime(large) {}
    }

    @Test func events() throws {
      let stream = try CUDAStream(CUDADevice(Emulator.driver()))
      let start = try stream.mark()
      try stream.synchronize()
      #expect(try stream.mark().seconds(since: start) >= 0)
    }

    @Test func launchesThatCannotBe() throws {
      let engine = try Emulator.engine()
      let kernel = try CUDAModule(Emulator.image("Elementwise.cu"), on: engine.device).kernel("fill")
      let launches = cudaemu_launches()
      let grids = [LaunchShape(1 << 31), LaunchShape(1, 1 << 16), LaunchShape(1, 1, 1 << 16), LaunchShape(-1)]
      for shape in grids {
        let error = cudaError { try kernel.launch(on: engine.stream, shape, []) }
        if case .unlaunchable("fill", _) = error { continue }
        Issue.record("\(String(describing: error))")
      }
      let error = cudaError { try kernel.launch(on: engine.stream, LaunchShape(1), [.int(1 << 31)]) }
      #expect(
        error?.description == "the kernel fill cannot be launched: argument 0, int(2147483648), does not fit an int")
      try kernel.launch(on: engine.stream, LaunchShape(0), [])
      #expect(cudaemu_launches() == launches)
    }
  }
}

/// What the refusing driver has seen; the tests of the device run one after another.
private enum Refusal {
  nonisolated(unsafe) static var allocations = 0
}
