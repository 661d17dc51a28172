// Products of linear layers computed by an emulated cuBLAS: every layout, type and size, what is kept and freed, and
// the errors when the library is missing or fails.

import CUDAEmulator
import MVARCUDA
import MVARTestSupport
import TensorCore
import Testing

extension EmulatedDevice {
  @Suite struct DriverCuBLASTests {
    /// Cases of linear layers: one row, one output, sizes that are not round, more rows than columns.
    @Test(
      "Linear layers err as little as plain loops do",
      arguments: OperatorCases.all.filter { $0.operatorName == "linear" })
    func linear(operation: any OperatorCase) throws {
      let engine = try Emulator.engine(library: Emulator.cuBLAS())
      let before = cudaemu_blas_products()
      try expect(operation, on: engine)
      #expect(cudaemu_blas_products() == before + 3)
    }

    private func expect(_ operation: some OperatorCase, on engine: CUDAEngine) throws {
      try expectSinglePrecision(of: try operation.run(on: CUDA.self, device: engine), operation)
    }

    /// The library rounds the same values as our own kernels, and adds the products in a different order.
    @Test(
      "Results are those of our own kernels",
      arguments: CUDAEngine.Precision.allCases,
      [(rows: 1, inputs: 1, outputs: 1), (1, 37, 5), (67, 31, 3), (5, 3, 129), (130, 9, 13)])
    func everyPrecision(precision: CUDAEngine.Precision, sizes: (rows: Int, inputs: Int, outputs: Int)) throws {
      var random = RandomValues(seed: 21)
      let x = random.normal([sizes.rows, sizes.inputs])
      let weight = random.normal([sizes.outputs, sizes.inputs])
      let (bias, dy) = (random.normal([sizes.outputs]), random.normal([sizes.rows, sizes.outputs]))
      func results(_ library: CuBLAS?) throws -> [[Float]] {
        let engine = try Emulator.engine(precision: precision, library: library)
        let (x, weight) = (try x.tensor(CUDA.self, on: engine), try weight.tensor(CUDA.self, on: engine))
        let y = CUDA.linear(x, weight: weight, bias: try bias.tensor(CUDA.self, on: engine))
        let d = CUDA.dLinear(try dy.tensor(CUDA.self, on: engine), x: x, weight: weight, hasBias: true)
        return try [y, d.x, d.weight, #require(d.bias)].map { try $0.scalars() }
      }
      let (own, found) = (try results(nil), try results(Emulator.cuBLAS()))
      // Sums of at most 130 products of values of order 1.
      for (own, found) in zip(own, found) { expectClose(found, own, Tolerance(absolute: 1e-4), "\(precision)") }
    }

    @Test func partsOfTensorsAndNothing() throws {
      for precision in CUDAEngine.Precision.allCases {
        let engine = try Emulator.engine(precision: precision, library: Emulator.cuBLAS())
        // Rows that start in the middle of a buffer, at an odd index.
        let all = try Tensor<CUDA>((0..<15).map { Float($0) }, shape: [5, 3], on: engine)
        let weight = try Tensor<CUDA>([1, 0, 0, 0, 0, 2], shape: [2, 3], on: engine)
        let y = CUDA.linear(all.rows(1..<4), weight: weight, bias: nil)
        #expect(try y.scalars() == [3, 10, 6, 16, 9, 22])
        let nothing = all.rows(2..<2)
        #expect(try CUDA.linear(nothing, weight: weight, bias: nil).scalars().isEmpty)
        let d = CUDA.dLinear(
          try Tensor([], shape: [0, 2], on: engine), x: nothing, weight: weight, hasBias: true)
        #expect(try d.x.scalars().isEmpty && d.weight.scalars() == [Float](repeating: 0, count: 6))
        #expect(try #require(d.bias).scalars() == [0, 0])
      }
    }

    @Test func oneHandleForEachEngine() throws {
      let (allocations, handles) = (cudaemu_live_allocations(), cudaemu_live_blas_handles())
      do {
        let engine = try Emulator.engine(library: Emulator.cuBLAS(), memory: .recycled)
        let x = Tensor<CUDA>(repeating: 1, shape: [4, 4], on: engine)
        let used = engine.memoryUse.used
        for _ in 0..<3 { #expect(try CUDA.linear(x, weight: x, bias: nil).scalars().allSatisfy { $0 == 4 }) }
        #expect(cudaemu_live_blas_handles() == handles + 1)
        // The workspace is not a tensor.
        #expect(engine.memoryUse.used == used && engine.memoryUse.peak < 1 << 20)
      }
      #expect(cudaemu_live_blas_handles() == handles && cudaemu_live_allocations() == allocations)
    }

    // MARK: Refusals

    @Test func whatWasFound() throws {
      let library = try Emulator.cuBLAS()
      #expect(library.name == "emulator" && library.version == CUDAVersion(major: 13, minor: 0))
      let error = cudaError {
        _ = try CuBLAS(name: "new", for: CUDAVersion(major: 12, minor: 4)) { cudaemu_symbol($0) }
      }
      #expect(error?.description == "version 13.0 is too new for the driver, which knows CUDA 12.4")
      let old = cudaError { _ = try CuBLAS(name: "old") { $0 == "cublasGemmEx" ? nil : cudaemu_symbol($0) } }
      #expect(old == .functionMissing("cublasGemmEx", library: "old"))
    }

    @Test func missingLibraryNamesEveryPlace() {
      let search = LibrarySearch(environment: ["MVAR_CUBLAS": "/nowhere/cublas.so"], home: "/nowhere", root: "/nowhere")
      #expect(
        cudaError { _ = try CuBLAS.find(search, for: nil) }?.description
          == "cuBLAS could not be loaded; tried /nowhere/cublas.so "
          + "(cannot open shared object file: No such file or directory)")
    }

    @Test func failingProductEndsTheEngine() throws {
      typealias Multiply = @convention(c) (UInt) -> Int32
      let failing: Multiply = { _ in 13 }
      let library = try Emulator.cuBLAS {
        $0 == "cublasGemmEx" ? unsafeBitCast(failing, to: UnsafeMutableRawPointer.self) : nil
      }
      let engine = try Emulator.engine(library: library)
      let x = Tensor<CUDA>(repeating: 1, shape: [2, 2], on: engine)
      let y = CUDA.linear(x, weight: x, bias: nil)
      let error = cudaError { _ = try y.scalars() }
      #expect(
        error?.description
          == "cublasGemmEx failed: CUBLAS_STATUS_EXECUTION_FAILED (13), the GPU program failed to execute")
      #expect(cudaError { try engine.synchronize() } == error)
    }

    @Test("A library that does not start gives its handle back", arguments: ["cublasCreate_v2", "cublasSetMathMode"])
    func failingStart(function: String) throws {
      let handles = cudaemu_live_blas_handles()
      typealias Failing = @convention(c) (UInt) -> Int32
      let failing: Failing = { _ in 1 }
      let library = try Emulator.cuBLAS {
        $0 == function ? unsafeBitCast(failing, to: UnsafeMutableRawPointer.self) : nil
      }
      let error = cudaError { _ = try Emulator.engine(library: library) }
      #expect(
        error?.description
          == "\(function) failed: CUBLAS_STATUS_NOT_INITIALIZED (1), the library was not initialized")
      #expect(cudaemu_live_blas_handles() == handles)
    }
  }
}
