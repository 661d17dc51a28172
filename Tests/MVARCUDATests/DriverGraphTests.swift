// Recorded work on the emulated device: it repeats its work on other values, in memory that nothing else uses, and
// reports what cannot be recorded.

import CUDAEmulator
import MVARCUDA
import MVARTestSupport
import TensorCore
import Testing

/// Work with every kind of step: products, attention, fills, results that take an input's place, and memory that is
/// reused.
private struct Work {
  var weight: Tensor<CUDA>?
  let engine: CUDAEngine

  init(_ engine: CUDAEngine) throws {
    self.engine = engine
    weight = try Tensor(RandomValues.floats(32 * 32, seed: 1), shape: [32, 32], on: engine)
  }

  /// Values [2, 5, 32] that differ from seed to seed.
  func input(_ seed: UInt64) throws -> Tensor<CUDA> {
    try Tensor(RandomValues.floats(320, seed: seed), shape: [2, 5, 32], on: engine)
  }

  /// [2, 5, 32] → [2, 5, 32]
  func callAsFunction(_ x: consuming Tensor<CUDA>) -> Tensor<CUDA> {
    var x = CUDA.silu(x)
    for _ in 0..<3 {
      let y = CUDA.linear(x, weight: weight!, bias: Tensor(repeating: 0.5, shape: [32], on: engine))
      let heads = y.reshaped([2, 5, 4, 8])
      let spans = [AttentionSpan(queries: 0..<5, keys: 0..<5)]
      let mixed = CUDA.attention(Heads(queries: heads, keys: heads, values: heads), spans: spans, softmaxScale: 0.5)
        .output
      x = CUDA.combine(consume x, times: 0.5, mixed.reshaped([2, 5, 32]), times: 1)
    }
    return CUDA.multiply(x, by: 2)
  }
}

extension RandomValues {
  /// Normally distributed values.
  fileprivate static func floats(_ count: Int, seed: UInt64) -> [Float] {
    var random = RandomValues(seed: seed)
    return random.normal([count]).numbers.map { Float($0) }
  }
}

extension EmulatedDevice {
  @Suite struct DriverGraphTests {
    @Test("Repeating gives the same bits as computing", arguments: [0, 3, 5] as [UInt32])
    func sameBits(schedule: UInt32) throws {
      cudaemu_set_schedule(schedule)
      defer { cudaemu_set_schedule(0) }
      let engine = try Emulator.engine()
      let work = try Work(engine)
      let recording = Recording<CUDA, Tensor<CUDA>>(CUDA.makeRecorder(on: engine))
      for seed in 2..<8 as Range<UInt64> {
        let found = try recording(work.input(seed), work.callAsFunction).scalars()
        #expect(try found == work(work.input(seed)).scalars(), "seed \(seed)")
      }
    }

    @Test func launchesByTheHost() throws {
      let engine = try Emulator.engine()
      let work = try Work(engine)
      let alone = try HostLaunches.during { _ = work(try work.input(2)) }
      let recording = Recording<CUDA, Tensor<CUDA>>(CUDA.makeRecorder(on: engine))
      let launches = try (0..<4).map { _ in
        try HostLaunches.during { _ = try recording(work.input(2), work.callAsFunction) }
      }
      #expect(alone.kernels == 11 && alone.graphs == 0)
      let repeated = HostLaunches(kernels: 0, graphs: 1)
      #expect(launches == [alone, HostLaunches(kernels: alone.kernels, graphs: 1), repeated, repeated])
    }

    @Test func enginesOfThisProcessCompute() throws {
      #expect(
        CPU<Float>.makeRecorder(on: HostDevice()) == nil && Reference<Double>.makeRecorder(on: HostDevice()) == nil)
      let recording = Recording<CPU<Float>, Tensor<CPU<Float>>>(nil)
      for value in 0..<4 {
        let x = Tensor<CPU<Float>>(repeating: Float(value), shape: [3], on: HostDevice())
        #expect(
          try recording(x) { CPU<Float>.multiply($0, by: 3) }.scalars()
            == [Float](repeating: Float(3 * value), count: 3))
      }
    }

    // MARK: Memory

    /// With memory that is reused, a block that is also used elsewhere shows up in the values of both.
    @Test func nobodyElseGetsTheMemory() throws {
      let engine = try Emulator.engine(memory: .recycled)
      let work = try Work(engine)
      let recording = Recording<CUDA, Tensor<CUDA>>(CUDA.makeRecorder(on: engine))
      for _ in 0..<2 { _ = try recording(work.input(2), work.callAsFunction) }
      let others = (0..<60).map { Tensor<CUDA>(repeating: Float($0), shape: [2, 5, 32], on: engine) }
      let found = try recording(work.input(3), work.callAsFunction).scalars()
      #expect(try found == work(work.input(3)).scalars())
      for (number, other) in others.enumerated() {
        #expect(try other.scalars() == [Float](repeating: Float(number), count: 320))
      }
    }

    @Test func whatIsReadIsKept() throws {
      let engine = try Emulator.engine(memory: .recycled)
      var work = try Work(engine)
      let expected = try work(work.input(3)).scalars()
      let recording = Recording<CUDA, Tensor<CUDA>>(CUDA.makeRecorder(on: engine))
      for _ in 0..<2 { _ = try recording(work.input(2), work.callAsFunction) }
      // No other reference to the weights exists any more, and the engine discards its lists.
      work.weight = nil
      forgetLists(on: engine)
      let others = (0..<60).flatMap { _ in
        [[32, 32], [4]].map { Tensor<CUDA>(repeating: 9, shape: $0, on: engine) }
      }
      #expect(try recording(work.input(3), work.callAsFunction).scalars() == expected)
      withExtendedLifetime(others) {}
    }

    /// Makes an engine discard the lists of integers that it keeps.
    private func forgetLists(on engine: CUDAEngine) {
      let x = Tensor<CUDA>(repeating: 0, shape: [1, 64, 1, 1], on: engine)
      let query = Tensor<CUDA>(repeating: 0, shape: [1, 1, 1, 1], on: engine)
      for first in 0..<34 {
        for last in first + 1..<first + 32 {
          let spans = [AttentionSpan(queries: 0..<1, keys: first..<last)]
          _ = CUDA.attention(Heads(queries: query, keys: x, values: x), spans: spans, softmaxScale: 1)
        }
      }
    }

    @Test("Nothing grows, and everything is given back", arguments: [DeviceMemoryPool.Policy.exact, .recycled])
    func costs(policy: DeviceMemoryPool.Policy) throws {
      let before = (cudaemu_live_allocations(), cudaemu_live_bytes(), cudaemu_live_graphs())
      do {
        let engine = try Emulator.engine(memory: policy)
        let work = try Work(engine)
        _ = work(try work.input(2))
        let unrecorded = engine.memoryUse.used
        do {
          let recorder = CUDA.makeRecorder(on: engine)
          let recordings = (0..<2).map { _ in Recording<CUDA, Tensor<CUDA>>(recorder) }
          func all() throws { for recording in recordings { _ = try recording(work.input(2), work.callAsFunction) } }
          for _ in 0..<3 { try all() }
          let settled = (cudaemu_live_bytes(), engine.memoryUse)
          #expect(settled.1.used > unrecorded && cudaemu_live_graphs() == before.2 + 2)
          for _ in 0..<20 { try all() }
          #expect(cudaemu_live_bytes() == settled.0 && engine.memoryUse == settled.1)
          // The memory that graphs use is not idle.
          try engine.freeIdleMemory()
          #expect(engine.memoryUse.used == settled.1.used)
          try all()
        }
        #expect(engine.memoryUse.used == unrecorded && cudaemu_live_graphs() == before.2)
      }
      #expect((cudaemu_live_allocations(), cudaemu_live_bytes(), cudaemu_live_graphs()) == before)
    }

    @Test func keptMemoryIsNotIdle() throws {
      let before = cudaemu_live_bytes()
      let cost = DeviceMemoryPool(try CUDAStream(CUDADevice(Emulator.driver())))
      do {
        let pool = DeviceMemoryPool(cost.stream, policy: .kept(for: cost))
        _ = try pool.makeBuffer(byteCount: 512)
        try pool.drain()
        #expect(cudaemu_live_bytes() == before + 512 && cost.use.used == 512 && cost.use.idle == 0)
        // Reused.
        _ = try pool.makeBuffer(byteCount: 512)
        #expect(cudaemu_live_bytes() == before + 512 && cost.use.used == 512)
      }
      #expect(cudaemu_live_bytes() == before && cost.use.used == 0)
    }

    // MARK: What cannot be recorded

    @Test func refusals() throws {
      let engine = try Emulator.engine()
      let x = try Tensor<CUDA>([1, 2, 3], shape: [3], on: engine)
      let refused: [(String, () throws -> Void)] = [
        ("copying numbers to the device", { _ = try Tensor<CUDA>([1], shape: [1], on: engine) }),
        ("copying numbers from the device", { _ = try x.scalars() }),
        ("waiting for the device", { try engine.stream.synchronize() }),
        ("measuring time", { _ = try engine.stream.mark() }),
        ("recording another graph", { try engine.stream.beginCapture() }),
      ]
      let graphs = cudaemu_live_graphs()
      let recorder = try #require(CUDA.makeRecorder(on: engine))
      for (operation, body) in refused {
        let error = cudaError { _ = try CUDA.record(with: recorder) { try body() } }
        #expect(
          error?.description
            == "\(operation) cannot be recorded in a launch graph, which the device repeats without this process")
        // The stream executes its work again, and nothing has failed.
        #expect(try CUDA.multiply(x, by: 2).scalars() == [2, 4, 6])
      }
      #expect(cudaemu_live_graphs() == graphs)
    }

    /// Operators cannot throw: an upload by one of them is a failure of the engine.
    @Test func operatorsThatUpload() throws {
      let engine = try Emulator.engine()
      let x = Tensor<CUDA>(repeating: 1, shape: [2, 1, 4], on: engine)
      let gain = Tensor<CUDA>(repeating: 1, shape: [2, 4], on: engine)
      let recorder = try #require(CUDA.makeRecorder(on: engine))
      var y: Tensor<CUDA>?
      let recorded = CUDA.record(with: recorder) { y = CUDA.gatedResidual(x, branch: x, gain: gain, keep: [0, 2]) }
      CUDA.perform(recorded, on: x, at: gain)
      let expected = CUDAError.unrecordable("copying numbers to the device")
      #expect(cudaError { _ = try y?.scalars() } == expected)
      #expect(cudaError { try engine.synchronize() } == expected)
      try engine.stream.synchronize()
    }

    @Test("A function of the driver that fails", arguments: FailingGraphs.functions)
    func failures(function: String) throws {
      let graphs = cudaemu_live_graphs()
      FailingGraphs.failing = ""
      defer { FailingGraphs.failing = "" }
      do {
        let engine = try FailingGraphs.engine()
        let work = try Work(engine)
        let recording = Recording<CUDA, Tensor<CUDA>>(CUDA.makeRecorder(on: engine))
        let inputs = try (0..<3).map { _ in try work.input(2) }
        _ = recording(inputs[0], work.callAsFunction)
        FailingGraphs.failing = function
        let y = [recording(inputs[1], work.callAsFunction), recording(inputs[2], work.callAsFunction)]
        if function == "cuGraphExecDestroy" {
          // Its caller cannot be notified.
          #expect(try y[1].scalars().count == 320)
        } else {
          let error = cudaError { _ = try y[0].scalars() }
          #expect(
            error?.description == "\(function) failed: CUDA_ERROR_LAUNCH_FAILED (719), unspecified launch failure")
          #expect(cudaError { _ = try y[1].scalars() } == error && cudaError { try engine.synchronize() } == error)
        }
        try engine.stream.synchronize()
      }
      #expect(cudaemu_live_graphs() == graphs)
    }
  }
}
