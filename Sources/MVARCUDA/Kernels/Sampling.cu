// From logits to tokens: guidance, top-k and top-p, sampling, and the Gumbel softmax of smooth sampling.
//
// Probabilities are summed in double precision, so that the same logits and the same random number give the same token
// as on the other engines. Random numbers are a function of seed, stream, purpose and index (Philox 4×32 with ten
// rounds, Salmon et al., SC 2011), never of a sequential state.

#include "reductions.cuh"

/// (1 + t)·conditional − t·null
///
/// - guided [count]
/// - logits [2, count], the conditional half first
/// - grid ⌈count/256⌉ or fewer; block 256
KERNEL(guide, float *guided, const float *logits, float strength, long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) {
    guided[i] = (1.0f + strength) * logits[i] - strength * logits[count + i];
  }
}

// MARK: Filtering

/// A float as an unsigned integer with the same order, −0 and +0 being equal; −∞ is the smallest.
static __device__ __forceinline__ unsigned orderKey(float x) {
  const unsigned bits = __float_as_uint(x + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/// exp(x − largest) in double precision; also for +∞, whose difference from itself is NaN.
static __device__ __forceinline__ double weightOf(float x, float largest) {
  return x == largest ? 1.0 : exp(static_cast<double>(x) - static_cast<double>(largest));
}

/// The largest key t such that `holds(t)`, which must be true for 0 and must be monotonic: false for every key above
/// one for which it is false. Found bit by bit from the highest; all threads of the block take part and get the same
/// result.
template <class Predicate> static __device__ __forceinline__ unsigned largestKey(const Predicate &holds) {
  unsigned key = 0;
  for (unsigned bit = 0x80000000u; bit != 0; bit >>= 1) {
    if (holds(key | bit)) key |= bit;
  }
  return key;
}

/// Logits below the k-th largest become −∞, ties with it are kept; then, in ascending order (of value, then index), so
/// do those whose cumulative probability is at most 1 − p, except the last. A row that contains a NaN is unchanged.
///
/// Nothing is sorted. The k-th largest is the largest value that at least k entries reach: its bits are found one by
/// one, by counting. In the same way the mass below a value determines where 1 − p falls; only among entries equal to
/// that value does the index decide.
///
/// - kept, logits [rows, width]; kept may be logits
/// - room [rows, width], scratch memory for rows that are too wide for shared memory; or null
/// - topK: 0 for no limit; topP: 0 for no limit
/// - grid: rows; block 256: one block per row; dynamic shared memory 8·width bytes with top-p and without room (0
///   otherwise), which above 46 KiB has to be requested (cuFuncSetAttribute)
KERNEL(filterLogits, float *kept, const float *logits, double *room, int topK, double topP, int width) {
  DYNAMIC_SHARED(double, shared);
  double *const weights = room ? room + static_cast<long long>(blockIdx.x) * width : shared;
  const float *x = logits + static_cast<long long>(blockIdx.x) * width;
  float *y = kept + static_cast<long long>(blockIdx.x) * width;

  int nans = 0;
  float largest = -INFINITE;
  for (int v = threadIdx.x; v < width; v += BLOCK) {
    nans += x[v] != x[v];
    largest = fmaxf(largest, x[v]);
  }
  nans = reduceBlock<Sum>(nans);
  largest = reduceBlock<Maximum>(largest);
  const bool isUsable = nans == 0 && largest != -INFINITE;

  unsigned threshold = 0;  // Entries with a smaller key are removed.
  if (isUsable && topK > 0) {
    const int k = min(topK, width);
    threshold = largestKey([&](unsigned key) {
      int reaching = 0;
      for (int v = threadIdx.x; v < width; v += BLOCK) reaching += orderKey(x[v]) >= key;
      return reduceBlock<Sum>(reaching) >= k;
    });
  }
  if (!isUsable || topP <= 0) {
    for (int v = threadIdx.x; v < width; v += BLOCK) {
      y[v] = !isUsable || orderKey(x[v]) >= threshold ? x[v] : -INFINITE;
    }
    return;
  }

  double total = 0;
  for (int v = threadIdx.x; v < width; v += BLOCK) {
    weights[v] = orderKey(x[v]) >= threshold ? weightOf(x[v], largest) : 0.0;
    total += weights[v];
  }
  total = reduceBlock<Sum>(total);
  // The probability of all entries below a key. With a fixed order of summation, adding an entry never makes the sum
  // smaller, so this is monotonic in the key even with rounding.
  const auto probabilityBelow = [&](unsigned key) {
    double mass = 0;
    for (int v = threadIdx.x; v < width; v += BLOCK) mass += orderKey(x[v]) < key ? weights[v] : 0.0;
    return reduceBlock<Sum>(mass) / total;
  };
  // Everything below `cut` is removed; entries equal to it are removed as far as the mass allows; everything above is
  // kept.
  const double removable = 1 - topP;
  const unsigned largestOfAll = orderKey(largest);
  const unsigned cut = min(largestKey([&](unsigned key) { return probabilityBelow(key) <= removable; }), largestOfAll);
  double cumulative = probabilityBelow(cut);

  // Entries equal to `cut` have the same weight. Computes how many of them the mass still covers, in index order; of
  // those equal to the overall maximum, the last is kept.
  int equal = 0;
  for (int v = threadIdx.x; v < width; v += BLOCK) equal += orderKey(x[v]) == cut;
  equal = reduceBlock<Sum>(equal);
  int removed = 0;
  if (equal > 0) {
    SHARED_ARRAY(int, firstEqual, [1]);
    int first = width;
    for (int v = threadIdx.x; v < width; v += BLOCK) {
      if (orderKey(x[v]) == cut) {
        first = v;
        break;
      }
    }
    for (int distance = 16; distance > 0; distance /= 2) {
      first = min(first, __shfl_xor_sync(ALL_LANES, first, distance));
    }
    SHARED_ARRAY(int, firsts, [BLOCK / 32]);
    if (threadIdx.x % 32 == 0) firsts[threadIdx.x / 32] = first;
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int warp = 0; warp < BLOCK / 32; ++warp) first = min(first, firsts[warp]);
      firstEqual[0] = first;
    }
    __syncthreads();
    const double probability = weights[firstEqual[0]] / total;
    const int limit = cut == largestOfAll ? equal - 1 : equal;
    while (removed < limit) {
      cumulative += probability;
      if (cumulative > removable) break;
      ++removed;
    }
  }

  // The rank of an entry among its equals: how many precede it. Each thread takes a run of consecutive entries, so that
  // a sum over the preceding threads gives the count.
  SHARED_ARRAY(int, before, [BLOCK]);
  const int run = (width + BLOCK - 1) / BLOCK, start = min(static_cast<int>(threadIdx.x) * run, width);
  const int end = min(start + run, width);
  int mine = 0;
  for (int v = start; v < end; ++v) mine += orderKey(x[v]) == cut;
  before[threadIdx.x] = mine;
  __syncthreads();
  int place = 0;
  for (int thread = 0; thread < static_cast<int>(threadIdx.x); ++thread) place += before[thread];
  for (int v = start; v < end; ++v) {
    const unsigned key = orderKey(x[v]);
    bool stays = key > cut;
    if (key == cut) stays = place++ >= removed;
    y[v] = stays && key >= threshold ? x[v] : -INFINITE;
  }
}

// MARK: Random numbers

/// What a random number is used for; different purposes never share random numbers.
#define PURPOSE_TOKEN 0u
#define PURPOSE_SMOOTH 1u

/// Four words from a counter and a key.
struct Words {
  unsigned of[4];
};

static __device__ __forceinline__ Words philox(Words counter, unsigned key0, unsigned key1) {
  for (int round = 0; round < 10; ++round) {
    const unsigned low0 = 0xD2511F53u * counter.of[0], high0 = __umulhi(0xD2511F53u, counter.of[0]);
    const unsigned low1 = 0xCD9E8D57u * counter.of[2], high1 = __umulhi(0xCD9E8D57u, counter.of[2]);
    counter = {{high1 ^ counter.of[1] ^ key0, low1, high0 ^ counter.of[3] ^ key1, low0}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// A random number in (0, 1), (word + ½)·2⁻³², from an image's stream: {seed, stream}.
static __device__ __forceinline__ double uniform(const unsigned long long *stream, long long index, unsigned purpose) {
  const Words four = philox({{static_cast<unsigned>(index >> 2), purpose, static_cast<unsigned>(stream[1]),
                              static_cast<unsigned>(stream[1] >> 32)}},
                            static_cast<unsigned>(stream[0]), static_cast<unsigned>(stream[0] >> 32));
  const unsigned word = index & 2 ? (index & 1 ? four.of[3] : four.of[2]) : (index & 1 ? four.of[1] : four.of[0]);
  return (word + 0.5) * (1.0 / 4294967296.0);
}

// MARK: Sampling

/// One token per position: the first v whose cumulative weight exp(x[v] − max) exceeds u·total, where u is the
/// position's random number; if rounding leaves none, the last v with nonzero weight; 0 for a row of only −∞ or with a
/// NaN.
///
/// Each thread sums a run of consecutive codes; then the run that contains u·total is known, and only its thread
/// examines individual codes.
///
/// - sampled [batch, tokens] int
/// - logits [batch, tokens, width]
/// - streams [batch, 2] unsigned 64-bit: seed and stream of every image
/// - firstPosition: position n uses the random number firstPosition + n
/// - grid: batch·tokens; block 256: one block per row
KERNEL(sampleTokens, int *sampled, const float *logits, const unsigned long long *streams, long long firstPosition,
       int tokens, int width) {
  SHARED_ARRAY(double, sums, [BLOCK]);
  SHARED_ARRAY(int, lasts, [BLOCK]);
  const float *x = logits + static_cast<long long>(blockIdx.x) * width;
  const int thread = threadIdx.x;
  const int run = (width + BLOCK - 1) / BLOCK, start = min(thread * run, width), end = min(start + run, width);

  float largest = -INFINITE;
  for (int v = start; v < end; ++v) largest = fmaxf(largest, x[v]);
  largest = reduceBlock<Maximum>(largest);
  double sum = 0;
  int last = -1;
  for (int v = start; v < end; ++v) {
    if (x[v] == -INFINITE) continue;
    const double weight = weightOf(x[v], largest);
    sum += weight;
    if (weight > 0) last = v;
  }
  sums[thread] = sum;
  lasts[thread] = last;
  __syncthreads();
  // Every thread adds in the same order, so all agree on where one run ends and the next begins.
  double total = 0, before = 0;
  for (int other = 0; other < BLOCK; ++other) {
    if (other == thread) before = total;
    total += sums[other];
    last = max(last, lasts[other]);
  }
  const int image = static_cast<int>(blockIdx.x) / tokens, position = static_cast<int>(blockIdx.x) % tokens;
  const double mark = uniform(streams + 2 * image, firstPosition + position, PURPOSE_TOKEN) * total;
  if (!(total > 0)) {  // Also where a NaN has reached the total.
    if (thread == 0) sampled[blockIdx.x] = 0;
  } else if (before <= mark && before + sum > mark) {
    // The code of this run at which the sum exceeds the target; rounding may leave the target just beyond all of them.
    double cumulative = before;
    int token = last;
    for (int v = start; v < end; ++v) {
      if (x[v] == -INFINITE) continue;
      const double weight = weightOf(x[v], largest);
      if (weight > 0) token = v;
      cumulative += weight;
      if (cumulative > mark) break;
    }
    sampled[blockIdx.x] = token;
  } else if (thread == 0 && !(total > mark)) {
    sampled[blockIdx.x] = last;
  }
}

/// softmax((factor·x − ln(−ln u))/temperature), for images only
///
/// - y, logits [batch, tokens, width]; y may be logits
/// - streams [batch, 2] unsigned 64-bit: seed and stream of every image
/// - firstPosition: position n and code v use the random number (firstPosition + n)·width + v
/// - grid: batch·tokens; block 256: one block per row
KERNEL(gumbelSoftmax, float *y, const float *logits, const unsigned long long *streams, float factor, float temperature,
       long long firstPosition, int tokens, int width) {
  const long long start = static_cast<long long>(blockIdx.x) * width;
  const unsigned long long *stream = streams + 2 * (blockIdx.x / tokens);
  const long long firstIndex = (firstPosition + static_cast<int>(blockIdx.x) % tokens) * width;
  float largest = -INFINITE;
  for (int v = threadIdx.x; v < width; v += BLOCK) {
    const float noise = static_cast<float>(-log(-log(uniform(stream, firstIndex + v, PURPOSE_SMOOTH))));
    const float noisy = (factor * logits[start + v] + noise) / temperature;
    y[start + v] = noisy;
    largest = fmaxf(largest, noisy);
  }
  largest = reduceBlock<Maximum>(largest);
  float total = 0;
  for (int v = threadIdx.x; v < width; v += BLOCK) {
    y[start + v] = expf(y[start + v] - largest);
    total += y[start + v];
  }
  total = reduceBlock<Sum>(total);
  for (int v = threadIdx.x; v < width; v += BLOCK) y[start + v] /= total;
}
