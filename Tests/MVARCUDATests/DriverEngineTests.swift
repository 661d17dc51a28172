// The engine on the emulated device: tensors in and out, memory shared and freed, and failures that are remembered.

import CUDAEmulator
import MVARCUDA
import TensorCore
import Testing

extension EmulatedDevice {
  @Suite struct DriverEngineTests {
    @Test func tensorsInAndOut() throws {
      let engine = try Emulator.engine()
      let numbers = (0..<300).map { Float($0) * 0.5 - 7 }
      let tensor = try Tensor<CUDA>(numbers, shape: [3, 100], on: engine)
      #expect(try tensor.scalars() == numbers)
      #expect(try tensor.rows(1..<3).scalars() == Array(numbers[100...]))
      #expect(try tensor.rows(1..<3).rows(1..<2).scalars() == Array(numbers[200...]))
      #expect(try tensor.rows(1..<1).scalars().isEmpty)
      #expect(tensor.device === engine)
      #expect(try Tensor<CUDA>(repeating: 1.5, shape: [7], on: engine).scalars() == [Float](repeating: 1.5, count: 7))
      #expect(try Tensor<CUDA>([], shape: [0, 4], on: engine).scalars().isEmpty)
      #expect(try Indices<CUDA>([3, 1, 4], shape: [3], on: engine).values() == [3, 1, 4])
    }

    @Test func regionsAreCopied() throws {
      let engine = try Emulator.engine()
      let owner = Owner([1, 2, 3])
      let region = HostRegion(owner: owner, start: UnsafeRawPointer(owner.start), byteCount: 12)
      let storage = try CUDA.makeStorage(borrowing: region, on: engine)
      #expect(try CUDA.scalars(storage) == [1, 2, 3])
    }

    @Test func memoryIsGivenBack() throws {
      let before = cudaemu_live_allocations()
      do {
        let engine = try Emulator.engine(memory: .recycled)
        let x = try Tensor<CUDA>([Float](repeating: 1, count: 1000), shape: [1000], on: engine)
        let y = CUDA.silu(x)
        #expect(engine.memoryUse.used == 8192 && engine.memoryUse.peak == 8192)
        // No other reference exists: the result takes its place.
        let z = CUDA.silu(y)
        #expect(try z.scalars().count == 1000)
        try engine.freeIdleMemory()
        #expect(engine.memoryUse.idle == 0 && cudaemu_live_allocations() > before)
      }
      #expect(cudaemu_live_allocations() == before)
    }

    @Test func exactMemoryIsFreedAtOnce() throws {
      let engine = try Emulator.engine()
      let (allocations, bytes) = (cudaemu_live_allocations(), cudaemu_live_bytes())
      do {
        let x = try Tensor<CUDA>([1, 2, 3], shape: [3], on: engine)
        #expect(cudaemu_live_bytes() == bytes + 12 && engine.memoryUse.used == 12)
        #expect(try x.scalars() == [1, 2, 3])
      }
      #expect(cudaemu_live_allocations() == allocations && cudaemu_live_bytes() == bytes)
      #expect(engine.memoryUse.used == 0 && engine.memoryUse.idle == 0 && engine.memoryUse.peak == 12)
    }

    @Test func resultsTakeThePlaceOfWhatNobodyElseHas() throws {
      let engine = try Emulator.engine()
      var x = try Tensor<CUDA>([1, 2, 3], shape: [3], on: engine)
      let used = engine.memoryUse.used
      x = CUDA.multiply(consume x, by: 2)
      #expect(engine.memoryUse.used == used && engine.memoryUse.peak == used)
      let shared = x
      x = CUDA.multiply(consume x, by: 2)
      #expect(try shared.scalars() == [2, 4, 6])
      #expect(try x.scalars() == [4, 8, 12])
    }

    @Test func failuresAreRemembered() throws {
      let engine = try Emulator.engine()
      let x = try Tensor<CUDA>([1, 2, 3], shape: [3], on: engine)
      // More than any device has: the operator cannot report this; reading the result does.
      let huge = Tensor<CUDA>(repeating: 0, shape: [1 << 45], on: engine)
      let error = cudaError { _ = try huge.scalars() }
      guard case .outOfMemory = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      let launches = cudaemu_launches()
      let y = CUDA.silu(x)
      #expect(cudaemu_launches() == launches)
      #expect(cudaError { _ = try y.scalars() } == error)
      #expect(cudaError { _ = try Tensor<CUDA>([1], shape: [1], on: engine) } == error)
      #expect(cudaError { try engine.synchronize() } == error)
    }

    @Test func kernelsThatCannotBeHad() throws {
      let device = try CUDADevice(Emulator.driver())
      let engine = try CUDAEngine(device) { throw CUDAError.noKernel("file \($0)") }
      let x = try Tensor<CUDA>([1, 2, 3], shape: [3], on: engine)
      let y = CUDA.silu(x)
      #expect(cudaError { _ = try y.scalars() }?.description == "there is no kernel file Elementwise.cu")
    }

    @Test func everyKernelIsThere() throws {
      try Emulator.engine().prepareKernels()
    }
  }
}

/// Values at a fixed address.
private final class Owner {
  let start: UnsafeMutablePointer<Float>

  init(_ numbers: [Float]) {
    start = .allocate(capacity: numbers.count)
    start.initialize(from: numbers, count: numbers.count)
  }

  deinit { start.deallocate() }
}
