// Products on a stream by cuBLAS.
//
// The library stores matrices by columns, this package by rows. A matrix read by columns instead of by rows is its
// transpose, so for C = A·B it computes Cᵀ = Bᵀ·Aᵀ: the operands are swapped, and nothing is moved.
//
// Reproducibility: NVIDIA's manual guarantees the same bits from run to run for one version of the library on GPUs of
// one architecture with the same number of multiprocessors, while no second stream is active; with a workspace provided
// by the caller, as the handle of each stream has here, also while others are. It guarantees nothing across different
// numbers of rows: the library chooses the order of summation by the shape, whereas our own kernels always add in the
// same order.

/// The sizes of a product C = op(A)·op(B) of row-major matrices, where op is the matrix or its transpose.
struct MatrixProduct: Hashable, Sendable {
  /// Rows and columns of C.
  var rows, columns: Int
  /// The number of products that are summed for each element of C.
  var depth: Int
  /// Whether A is stored as [depth, rows] instead of [rows, depth].
  var transposesLeft = false
  /// Whether B is stored as [columns, depth] instead of [depth, columns].
  var transposesRight = false

  /// The number of elements of C.
  var count: Int { rows * columns }
}

/// A cuBLAS handle for a stream; its products are work of that stream like any other.
final class CuBLASHandle: Sendable {
  private let library: CuBLAS
  private let stream: CUDAStream
  private let workspace: CUDABuffer
  private let handle: CUDAHandle

  /// What the manual recommends for the GPUs that need most; the same everywhere, since it affects the choice of
  /// algorithms.
  private static let workspaceBytes = 32 << 20

  /// A handle whose products are submitted to a stream.
  ///
  /// - Throws: `CUDAError.failedCall`, `outOfMemory`.
  init(_ library: CuBLAS, _ stream: CUDAStream) throws {
    self.library = library
    self.stream = stream
    // Not a tensor's memory: a separate pool keeps it out of the tensors' memory use.
    workspace = try DeviceMemoryPool(stream).makeBuffer(byteCount: Self.workspaceBytes)
    try stream.device.makeCurrent()
    var handle: CUDAHandle = 0
    try library.functions.check(library.functions.create(&handle), "cublasCreate_v2")
    self.handle = handle
    // The stream is set first: setting it resets the workspace.
    try call("cublasSetStream_v2") { $0.setStream(handle, stream.handle) }
    try call("cublasSetWorkspace_v2") { $0.setWorkspace(handle, workspace.address, Self.workspaceBytes) }
    // CUBLAS_DEFAULT_MATH and CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION: float32 is not rounded unless
    // requested, and partial sums are float32 too.
    try call("cublasSetMathMode") { $0.setMathMode(handle, 16) }
  }

  deinit {
    try? stream.device.makeCurrent()
    _ = library.functions.destroy(handle)
  }

  /// Submits C = op(A)·op(B) to the stream; no size may be 0.
  ///
  /// - Parameters:
  ///   - c: [rows, columns], float32
  ///   - a: [rows, depth] or [depth, rows], bfloat16 in that precision and float32 in the others
  ///   - b: [depth, columns] or [columns, depth], of the same type.
  /// - Throws: `CUDAError.unlaunchable` for sizes that do not fit; `failedCall`, also for work that failed earlier.
  func multiply(
    _ product: MatrixProduct, into c: KernelArgument, _ a: KernelArgument, _ b: KernelArgument,
    in precision: CUDAEngine.Precision
  ) throws {
    guard let rows = Int32(exactly: product.rows), let columns = Int32(exactly: product.columns),
      let depth = Int32(exactly: product.depth), let cAddress = c.word, let aAddress = a.word, let bAddress = b.word
    else { throw CUDAError.unlaunchable(kernel: "cublasGemmEx", reason: "\(product) does not fit an int") }
    let (type, sums) = precision.cublasTypes
    var (one, zero): (Float, Float) = (1, 0)
    try withExtendedLifetime((a, b, c)) {
      try call("cublasGemmEx") {
        $0.multiply(
          handle, product.transposesRight ? 1 : 0, product.transposesLeft ? 1 : 0, columns, rows, depth, &one,
          bAddress, type, product.transposesRight ? depth : columns,
          aAddress, type, product.transposesLeft ? rows : depth, &zero,
          cAddress, CUDAEngine.Precision.float32.cublasTypes.operands, columns, sums, Self.defaultAlgorithm)
      }
    }
    stream.keep([a, b, c].lazy.compactMap(\.buffer))
  }

  /// CUBLAS_GEMM_DEFAULT: the library chooses.
  private static let defaultAlgorithm: Int32 = -1

  /// Calls a function of the library for the stream's device.
  private func call(_ name: String, _ function: (CuBLAS.Functions) -> Int32) throws {
    try stream.device.makeCurrent()
    try library.functions.check(function(library.functions), name)
  }
}

extension CUDAEngine.Precision {
  /// The library's names for the type of the operands (`CUDA_R_32F`, `CUDA_R_16BF`) and for the compute type
  /// (`CUBLAS_COMPUTE_32F`, `CUBLAS_COMPUTE_32F_FAST_TF32`).
  fileprivate var cublasTypes: (operands: Int32, sums: Int32) {
    switch self {
    case .float32: (0, 68)
    case .tf32: (0, 77)
    case .bfloat16: (14, 68)
    }
  }
}
