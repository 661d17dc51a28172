// Products on a stream by cuBLAS.
//
// The library stores matrices by columns, this package by rows. Rows that are read as columns are the transpose, so for
// C = A·B it is asked for Cᵀ = Bᵀ·Aᵀ: the operands change places, and nothing is moved.
//
// What repeats: NVIDIA's manual promises the same bits from run to run for one version of the library on GPUs of one
// architecture with as many multiprocessors, while no second stream is at work; with a workspace of the caller's, which
// the handle of each stream has here, also beside others. It promises nothing from one number of rows to another: the
// library chooses how to add up by the shape, where our own kernels always add in the same order.

/// The sizes of a product C = op(A)·op(B) of matrices that lie row after row, where op is the matrix or its transpose.
struct MatrixProduct: Hashable, Sendable {
  /// Rows and columns of C.
  var rows, columns: Int
  /// How many products each number of C is the sum of.
  var depth: Int
  /// Whether A is stored as [depth, rows] instead of [rows, depth].
  var transposesLeft = false
  /// Whether B is stored as [columns, depth] instead of [depth, columns].
  var transposesRight = false

  /// How many numbers C has.
  var count: Int { rows * columns }
}

/// What cuBLAS keeps for a stream: its products are work of that stream like any other.
final class CuBLASHandle: Sendable {
  private let library: CuBLAS
  private let stream: CUDAStream
  private let workspace: CUDABuffer
  private let handle: CUDAHandle

  /// What the manual recommends for the GPUs that want most; the same everywhere, since algorithms are chosen by it.
  private static let workspaceBytes = 32 << 20

  /// A handle whose products are given to a stream.
  ///
  /// - Throws: `CUDAError.failedCall`, `outOfMemory`.
  init(_ library: CuBLAS, _ stream: CUDAStream) throws {
    self.library = library
    self.stream = stream
    // No tensor's memory: a pool of its own keeps it out of the cost of those.
    workspace = try DeviceMemoryPool(stream).makeBuffer(byteCount: Self.workspaceBytes)
    try stream.device.makeCurrent()
    var handle: CUDAHandle = 0
    try library.functions.check(library.functions.create(&handle), "cublasCreate_v2")
    self.handle = handle
    // The stream first: setting it takes the workspace away.
    try call("cublasSetStream_v2") { $0.setStream(handle, stream.handle) }
    try call("cublasSetWorkspace_v2") { $0.setWorkspace(handle, workspace.address, Self.workspaceBytes) }
    // CUBLAS_DEFAULT_MATH and CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION: float32 is not rounded unasked, and parts
    // of sums are float32 too.
    try call("cublasSetMathMode") { $0.setMathMode(handle, 16) }
  }

  deinit {
    try? stream.device.makeCurrent()
    _ = library.functions.destroy(handle)
  }

  /// Gives C = op(A)·op(B) to the stream; nothing may be of size 0.
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
  /// What the library calls the type of the operands (`CUDA_R_32F`, `CUDA_R_16BF`) and the way to compute
  /// (`CUBLAS_COMPUTE_32F`, `CUBLAS_COMPUTE_32F_FAST_TF32`).
  fileprivate var cublasTypes: (operands: Int32, sums: Int32) {
    switch self {
    case .float32: (0, 68)
    case .tf32: (0, 77)
    case .bfloat16: (14, 68)
    }
  }
}
