// What a transformer keeps in memory during sampling and training, besides its parameters, their gradients and the
// optimizer's moments: the key/value cache, and activations.
//
// The rule: the elements of all tensors alive at the peak, counting every buffer once. A reshape shares its buffer;
// during sampling, GELU and the gated residual overwrite their input. A tensor lives until its last use, an argument
// until the call returns. Not counted are integers (tokens, labels), an operator's scratch memory, which depends on the
// engine and its threads, and what the allocator keeps for reuse.

extension TransformerCost {
  /// The number of rows in the transformer's batch: doubled with guidance, which VAR always uses in sampling.
  public func rows(batch: Int, guided: Bool) -> Int {
    guided || trajectory.pattern.seesEarlierScales ? 2 * batch : batch
  }

  /// The bytes of keys and values kept at the end of sampling, 2·L·C elements per block and row: 0 except for VAR.
  public func cacheBytes(batch: Int, guided: Bool, bytesPerNumber: Int = 4) -> Double {
    guard trajectory.pattern.seesEarlierScales else { return 0 }
    return 2 * Double(configuration.scaleList.length) * width * depth
      * Double(rows(batch: batch, guided: guided)) * Double(bytesPerNumber)
  }

  /// The bytes of activations at the peak of sampling, without the cache.
  public func samplingBytes(batch: Int, guided: Bool, bytesPerNumber: Int = 4) -> Double {
    let numbers = allScales.map { samplingNumbers(scale: $0, batch: batch, guided: guided) }
    return (numbers.max() ?? 0) * Double(bytesPerNumber)
  }

  /// The bytes of everything but the parameters while images are sampled: activations and the cache.
  public func samplingMemory(batch: Int, guided: Bool = true, bytesPerNumber: Int = 4) -> Double {
    samplingBytes(batch: batch, guided: guided, bytesPerNumber: bytesPerNumber)
      + cacheBytes(batch: batch, guided: guided, bytesPerNumber: bytesPerNumber)
  }

  /// How many images to sample at once: as many as need about a gibibyte besides the parameters, at least one.
  public func suggestedBatch(upTo most: Int) -> Int {
    min(max(Int(0x1p30 / samplingMemory(batch: 1)), 1), most)
  }

  /// The bytes of activations when all scales of known images are computed without a tape, with dependent scales
  /// computed together; see `ScaleTrajectory.independentRuns`.
  public func forwardBytes(batch: Int, bytesPerNumber: Int = 4) -> Double {
    let perImage = trajectory.independentRuns.map { scales in
      let tokens = Double(configuration.scaleList.tokens(of: scales).count)  // N
      // As in sampling: either heads being split, or the last norm and logits; plus x_s.
      return tokens * max(8 * width, width + vocabulary) + Double(trajectory.inputRows(of: scales).count) * codeWidth
    }
    let condition = (1 + 6 * depth + 2) * width
    return Double(batch) * ((perImage.max() ?? 0) + condition) * Double(bytesPerNumber)
  }

  /// The bytes of the parameters, their gradients and the optimizer's two moments.
  public func optimizedBytes(bytesPerNumber: Int = 4) -> Double { 4 * parameters * Double(bytesPerNumber) }

  /// The bytes of a training at the peak of a step: parameters and moments, and with them the activations at the end of a
  /// forward or the gradients at the end of a backward, whichever are more.
  ///
  /// - Parameters:
  ///   - batch: images in a micro-batch.
  ///   - recomputing: whether only the input of each block is kept.
  ///   - gradientBytes: of each parameter.
  ///   - momentBytes: of each parameter, both moments.
  public func trainingPeakBytes(
    batch: Int, recomputing: Bool = false, gradientBytes: Double = 4, momentBytes: Double = 8
  ) -> Double {
    parameters * (4 + momentBytes)
      + max(trainingBytes(batch: batch, recomputing: recomputing), parameters * gradientBytes)
  }

  /// The bytes of activations of the training step that keeps the most, one segment at a time.
  public func trainingBytes(batch: Int, recomputing: Bool = false, bytesPerNumber: Int = 4) -> Double {
    trajectory.segments.map {
      trainingBytes(scales: $0, batch: batch, recomputing: recomputing, bytesPerNumber: bytesPerNumber)
    }.max() ?? 0
  }

  /// The number of elements alive at the peak of sampling one scale; see `Sampler.sample`. Not for `smooth`.
  func samplingNumbers(scale: Int, batch: Int, guided: Bool) -> Double {
    let scaleList = configuration.scaleList
    let isGuided = rows(batch: batch, guided: guided) > batch
    let images = Double(batch)  // B
    let rows = Double(self.rows(batch: batch, guided: guided))
    let tokens = Double(scaleList.tokens(of: scale).count)  // N
    let map = Double(scaleList.lastSide) * Double(scaleList.lastSide)  // P²

    // The class vector, six vectors per block, the head's two; f̂; and x_s.
    let condition = rows * (1 + 6 * depth + 2) * width  // [rows, C] each
    let sum = images * codeWidth * map  // [B, Z, P, P]
    let input = scale == 0 ? 0 : rows * tokens * codeWidth  // [rows, N, Z]

    var moments = [
      // Heads are being split: x, its norm, qkv [rows, N, 3C], and q, k, v. The feed-forward has 7C (x, its norm, 4C
      // inside, where GELU works in place, and the result); attention itself has 6C and the log-sum-exps.
      rows * tokens * 8 * width,
      // The head: the last norm and logits.
      rows * tokens * (width + vocabulary),
      // The filter: logits and their filtered copy [B, N, V].
      images * tokens * 2 * vocabulary,
      // Φ: logits, codes [B, N, Z], and two maps [B, Z, P, P].
      images * (tokens * vocabulary + codeWidth * (tokens + 2 * map)),
    ]
    if isGuided {
      // Guidance: logits of all rows, and the guided ones.
      moments.append((rows + images) * tokens * vocabulary)
    }
    if trajectory.pattern.seesEarlierScales {
      // The cache grows: x, its norm, q, k, v, and the shorter keys and values that the longer ones replace.
      let earlier = Double(trajectory.keysPerQuery(of: scale)) - tokens  // M − N
      moments.append(rows * (5 * tokens + 2 * earlier) * width)
    }
    return condition + sum + input + (moments.max() ?? 0)
  }

  /// The bytes of activations of a training step on a segment between forward and backward; with recomputation, those of
  /// the backward of a block if they are more.
  ///
  /// - Parameters:
  ///   - scales: a segment, see `ScaleTrajectory.segments`.
  ///   - batch: images in a micro-batch.
  ///   - recomputing: whether only the input of each block is kept.
  ///   - bytesPerNumber: 4 for single precision.
  public func trainingBytes(scales: Range<Int>, batch: Int, recomputing: Bool = false, bytesPerNumber: Int = 4)
    -> Double
  {
    trainingNumbers(scales: scales, batch: batch, recomputing: recomputing) * Double(bytesPerNumber)
  }

  /// The number of elements the tape keeps alive, including the gradient of the logits.
  ///
  /// A pullback keeps only what its operator's backward needs:
  /// - a linear layer: its input, unless that is the output of GELU, which is computed again;
  /// - AdaLN: its input, two values per token, and its scale, but not the shift;
  /// - `splitHeads`: the qkv projection; attention: q, k, v, its output and H log-sum-exps per token;
  /// - a gated residual: its branch and gain, but not the sum;
  /// - GELU: its input; the loss: the logits and a log-sum-exp per token; embeddings, sums, slices and reshapes:
  ///   nothing.
  private func trainingNumbers(scales: Range<Int>, batch: Int, recomputing: Bool) -> Double {
    let images = Double(batch)  // B
    let tokens = Double(configuration.scaleList.tokens(of: scales).count)  // N
    let inputs = Double(trajectory.inputRows(of: scales).count)  // N, or N − 1 with scale 0

    // Per token and block, in C: x, its norm, qkv (3), q, k and v (3), attention's output, which is also the
    // projection's input, the branch; then x, its norm, GELU's input (4), the branch. 1 + 1 + 3 + 3 + 2 + 1 + 1 + 4 + 1 = 17.
    let block = 17 * width + heads + 4
    // The last x, its norm and two values; logits with a log-sum-exp; their gradients and the loss's.
    let head = 2 * width + 2 + (vocabulary + 1) + (vocabulary + 1)
    // Per image, in C: the class vector, its SiLU, γ1, γ2, scale1, scale2 of each block, the head's scale.
    let condition = (2 + 4 * depth + 1) * width
    // A marker per block (see `splitHeads`); the loss and its gradient.
    let single = depth + 2
    // Recomputing: x of each block, and the head's or, once that is done, the rest of a block and its output's gradient.
    let blocks = recomputing ? depth * width + max(head, block) : depth * block + head
    return images * (tokens * blocks + inputs * codeWidth + condition) + single
  }
}
