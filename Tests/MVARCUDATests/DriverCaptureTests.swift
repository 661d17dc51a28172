// The emulated driver obeys the rules of capture: what a captured stream, its thread or any thread may not do
// meanwhile, and what a graph does after its memory was freed.

import CUDAEmulator
import MVARCUDA
import Testing

/// The driver's raw functions, without the engine's safeguards.
private enum Raw {
  typealias Begin = @convention(c) (UInt, Int32) -> Int32
  typealias End = @convention(c) (UInt, UnsafeMutablePointer<UInt>) -> Int32
  typealias Instantiate = @convention(c) (UnsafeMutablePointer<UInt>, UInt, UInt64) -> Int32
  typealias OnStream = @convention(c) (UInt, UInt) -> Int32
  typealias OfOne = @convention(c) (UInt) -> Int32
  typealias Create = @convention(c) (UnsafeMutablePointer<UInt>, UInt32) -> Int32
  typealias Allocate = @convention(c) (UnsafeMutablePointer<UInt64>, Int) -> Int32
  typealias Free = @convention(c) (UInt64) -> Int32
  typealias FromHost = @convention(c) (UInt64, UnsafeRawPointer, Int, UInt) -> Int32
  typealias ToHost = @convention(c) (UnsafeMutableRawPointer, UInt64, Int, UInt) -> Int32
  typealias Fill = @convention(c) (UInt64, UInt32, Int, UInt) -> Int32
  typealias Wait = @convention(c) () -> Int32

  static func function<Function>(_ name: String, as type: Function.Type = Function.self) -> Function {
    unsafeBitCast(cudaemu_symbol(name), to: type)
  }

  static let begin: Begin = function("cuStreamBeginCapture_v2")
  static let end: End = function("cuStreamEndCapture")
  static let instantiate: Instantiate = function("cuGraphInstantiateWithFlags")
  static let launch: OnStream = function("cuGraphLaunch")
  static let destroyGraph: OfOne = function("cuGraphDestroy")
  static let destroyExecutable: OfOne = function("cuGraphExecDestroy")
  static let createStream: Create = function("cuStreamCreate")
  static let destroyStream: OfOne = function("cuStreamDestroy_v2")
  static let synchronize: OfOne = function("cuStreamSynchronize")
  static let allocate: Allocate = function("cuMemAlloc_v2")
  static let free: Free = function("cuMemFree_v2")
  static let fromHost: FromHost = function("cuMemcpyHtoDAsync_v2")
  static let toHost: ToHost = function("cuMemcpyDtoHAsync_v2")
  static let fill: Fill = function("cuMemsetD32Async")
}

extension EmulatedDevice {
  @Suite struct DriverCaptureTests {
    /// Keeps the device's context current for this thread.
    private let device: CUDADevice
    private let stream: UInt
    private let memory: UInt64

    init() throws {
      device = try CUDADevice(Emulator.driver())
      _ = try CUDAStream(device)
      var (stream, memory): (UInt, UInt64) = (0, 0)
      #expect(Raw.createStream(&stream, 1) == 0 && Raw.allocate(&memory, 16) == 0)
      (self.stream, self.memory) = (stream, memory)
    }

    /// Ends the capture, and frees everything.
    private func finish(expecting status: Int32 = 0) {
      var graph: UInt = 0
      #expect(Raw.end(stream, &graph) == status && (graph == 0) == (status != 0))
      if status == 0 { #expect(Raw.destroyGraph(graph) == 0) }
      #expect(Raw.synchronize(stream) == 0 && Raw.destroyStream(stream) == 0 && Raw.free(memory) == 0)
    }

    private func word() -> UInt32 {
      var word: UInt32 = 0
      #expect(Raw.toHost(&word, memory, 4, stream) == 0)
      return word
    }

    @Test func nothingHappensBeforeTheLaunch() {
      #expect(Raw.fill(memory, 1, 4, stream) == 0 && Raw.begin(stream, 2) == 0 && Raw.fill(memory, 7, 4, stream) == 0)
      var (graph, executable): (UInt, UInt) = (0, 0)
      #expect(Raw.end(stream, &graph) == 0 && Raw.instantiate(&executable, graph, 0) == 0)
      #expect(Raw.destroyGraph(graph) == 0 && word() == 1)
      for _ in 0..<2 {
        #expect(Raw.launch(executable, stream) == 0 && word() == 7)
        #expect(Raw.fill(memory, 2, 4, stream) == 0 && word() == 2)
      }
      #expect(Raw.destroyExecutable(executable) == 0 && Raw.launch(executable, stream) == 1)
      #expect(Raw.destroyGraph(graph) == 1 && Raw.instantiate(&executable, graph, 0) == 1)
      #expect(Raw.begin(stream, 2) == 0)
      finish()
    }

    /// 900 is CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, 901 means that a capture was invalidated.
    @Test("What a captured stream refuses ends the capture", arguments: 0..<4)
    func lost(operation: Int) {
      var bytes: UInt32 = 0
      let operations: [() -> Int32] = [
        { Raw.synchronize(stream) }, { Raw.fromHost(memory, &bytes, 4, stream) },
        { Raw.toHost(&bytes, memory, 4, stream) }, { Raw.function("cuCtxSynchronize", as: Raw.Wait.self)() },
      ]
      #expect(Raw.begin(stream, 2) == 0 && operations[operation]() == 900)
      #expect(Raw.fill(memory, 7, 4, stream) == 901)
      finish(expecting: 901)
    }

    @Test("Memory can be had while a stream is captured in the relaxed mode only", arguments: 0..<3 as Range<Int32>)
    func modes(mode: Int32) {
      var other: UInt64 = 0
      #expect(Raw.begin(stream, mode) == 0 && Raw.allocate(&other, 16) == (mode == 2 ? 0 : 900))
      if mode == 2 { #expect(Raw.free(other) == 0) }
      finish(expecting: mode == 2 ? 0 : 901)
    }

    @Test func otherMisuse() {
      var graph: UInt = 0
      #expect(Raw.end(stream, &graph) == 401 && Raw.begin(stream, 3) == 1 && Raw.begin(0, 2) == 900)
      #expect(Raw.begin(stream, 2) == 0 && Raw.begin(stream, 2) == 401)
      finish()
    }

    @Test func memoryThatIsGone() {
      var (graph, executable, other): (UInt, UInt, UInt64) = (0, 0, 0)
      #expect(Raw.allocate(&other, 16) == 0 && Raw.begin(stream, 2) == 0 && Raw.fill(other, 7, 4, stream) == 0)
      #expect(Raw.end(stream, &graph) == 0 && Raw.instantiate(&executable, graph, 0) == 0 && Raw.free(other) == 0)
      #expect(Raw.launch(executable, stream) == 1)
      #expect(String(cString: cudaemu_error()) == "a fill of 16 bytes outside device memory")
      #expect(Raw.destroyExecutable(executable) == 0 && Raw.destroyGraph(graph) == 0 && Raw.begin(stream, 2) == 0)
      finish()
    }
  }
}
