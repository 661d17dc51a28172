// Rows of a table by index, and the index of the row nearest to a vector. The formulas are documented at the kernels in
// Codebook.cu.

import TensorCore

extension CUDA: CodebookOps {
  /// The rows of a table.
  public static func embedding(_ table: Tensor<CUDA>, _ indices: Indices<CUDA>) -> Tensor<CUDA> {
    precondition(table.shape.rank == 2, "embedding: table \(table.shape)")
    indices.check(below: table.shape[0], "embedding")
    let channels = table.shape[1]
    let y = empty(Shape(indices.shape.dimensions + [channels]), on: table.device)
    let count = y.shape.count
    table.device.launch(
      .embedding, elements: count,
      [y.argument, table.argument, indices.argument, .int(channels), .long(count)])
    return y  // [..., C]
  }

  /// Rows of dOutput added to the rows that they were read from.
  public static func dEmbedding(_ dOutput: Tensor<CUDA>, _ indices: Indices<CUDA>, rows: Int) -> Tensor<CUDA> {
    precondition(
      dOutput.shape.dimensions.dropLast().elementsEqual(indices.shape.dimensions),
      "dEmbedding: gradient \(dOutput.shape), indices \(indices.shape)")
    indices.check(below: rows, "dEmbedding")
    let channels = dOutput.shape[-1]
    let dTable = empty([rows, channels], on: dOutput.device)
    dOutput.device.launch(
      .dEmbedding, LaunchShape(rows, channels.dividedUp(by: 256)),
      [dTable.argument, dOutput.argument, indices.argument, .int(channels), .int(indices.shape.count)])
    return dTable  // [V, C]
  }

  /// The codebook row nearest to each vector; the first one in case of a tie.
  public static func nearestCode(_ vectors: Tensor<CUDA>, codebook: Tensor<CUDA>, metric: CodeMetric) -> Indices<CUDA> {
    precondition(
      codebook.shape.rank == 2 && codebook.shape[0] > 0 && vectors.shape.rank >= 1
        && vectors.shape[-1] == codebook.shape[1],
      "nearestCode: vectors \(vectors.shape), codebook \(codebook.shape)")
    let engine = vectors.device
    let (count, codes, channels) = (vectors.shape.rows, codebook.shape[0], codebook.shape[1])
    let nearest = DeviceArray<Int32>(count: count, on: engine)
    let isCosine = metric == .cosine
    let left = isCosine ? l2Normalize(vectors) : vectors
    let right = isCosine ? l2Normalize(codebook) : codebook
    engine.launch(
      .nearestCode, LaunchShape(count.dividedUp(by: 64)),
      [
        nearest.argument, left.argument, right.argument, isCosine ? .null : squaredNorms(left).argument,
        isCosine ? .null : squaredNorms(right).argument, .int(count), .int(codes), .int(channels),
      ])
    return Indices(
      shape: Shape(Array(vectors.shape.dimensions.dropLast())),
      storage: DeviceIndices(array: nearest, least: 0, most: Int32(clamping: codes - 1)))  // [...]
  }

  /// ‖x‖² of every row.
  private static func squaredNorms(_ x: Tensor<CUDA>) -> Tensor<CUDA> {
    let squares = empty([x.shape.rows], on: x.device)
    x.device.launch(
      .squaredNorms, warpRows(x.shape.rows),
      [squares.argument, x.argument, .long(x.shape.rows), .int(x.shape[-1])])
    return squares
  }
}
