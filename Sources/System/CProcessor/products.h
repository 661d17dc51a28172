// Sums of products of short numbers, for processors with instructions for them: pairs of bf16, and four bytes. Each lane
// of 32 bits holds what is multiplied. The plain twins are in Swift, `ShortLanes.swift`, for all other processors; those
// of Arm (bfdot, sdot) may follow here.

#pragma once

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__) && defined(__AVX512VL__) && defined(__AVX512BW__)
#define HAS_SHORT_PRODUCTS 1
#include <immintrin.h>
#else
#define HAS_SHORT_PRODUCTS 0
#endif

/// Whether a multiplication and an addition are one instruction.
#if defined(__FMA__) || defined(__aarch64__)
#define HAS_FUSED_PRODUCTS 1
#else
#define HAS_FUSED_PRODUCTS 0
#endif

#if HAS_SHORT_PRODUCTS
#include <cpuid.h>
#endif

/// Whether the instruction for pairs takes longer than two for numbers: on Intel's processors, whose fast way is another
/// unit. Only where there is the instruction.
static inline int hasSlowPairs(void) {
#if HAS_SHORT_PRODUCTS
  unsigned highest, b, c, d;
  return __get_cpuid(0, &highest, &b, &c, &d) && b == signature_INTEL_ebx && d == signature_INTEL_edx;
#else
  return 0;
#endif
}

#define LANES static inline __attribute__((always_inline))

typedef float Lanes16 __attribute__((ext_vector_type(16)));
typedef float Lanes8 __attribute__((ext_vector_type(8)));
typedef unsigned Words16 __attribute__((ext_vector_type(16)));

// Selections by lane, for every processor: those of Swift's vectors are loops over lanes.

/// The nearest bf16 of 16 numbers, to nearest even; denormal numbers become zero, NaN stays NaN.
LANES Words16 rounded16(Lanes16 x) {
  Words16 bits = (Words16)x, magnitude = bits & 0x7FFFFFFF, upper = bits >> 16;
  Words16 nearest = (bits + 0x7FFF + (upper & 1)) >> 16;
  nearest = magnitude < 0x00800000 ? upper & 0x8000 : nearest;
  nearest = magnitude >= 0x7F800000 ? upper : nearest;
  return magnitude > 0x7F800000 ? upper | 0x40 : nearest;
}

/// Words of two bf16 each, rounded likewise.
LANES Words16 roundedPairs16(Lanes16 lower, Lanes16 upper) { return rounded16(lower) | rounded16(upper) << 16; }

/// The larger of two numbers in each lane.
LANES Words16 largest16(Words16 a, Words16 b) { return a > b ? a : b; }

#if HAS_SHORT_PRODUCTS

/// s + a₁b₁ + a₀b₀ in each lane, in this order, each addition rounded; a₀ is the lower half. Denormal factors count as
/// zero, and so do denormal sums.
LANES Lanes16 addPairs16(Lanes16 s, Lanes16 a, Lanes16 b) {
  return (Lanes16)_mm512_dpbf16_ps((__m512)s, (__m512bh)a, (__m512bh)b);
}
LANES Lanes8 addPairs8(Lanes8 s, Lanes8 a, Lanes8 b) {
  return (Lanes8)_mm256_dpbf16_ps((__m256)s, (__m256bh)a, (__m256bh)b);
}

/// s + Σ aᵢbᵢ of four unsigned bytes a and four signed bytes b in each lane; s and the result are integers.
LANES Lanes16 addBytes16(Lanes16 s, Lanes16 a, Lanes16 b) {
  return (Lanes16)_mm512_dpbusd_epi32((__m512i)s, (__m512i)a, (__m512i)b);
}
LANES Lanes8 addBytes8(Lanes8 s, Lanes8 a, Lanes8 b) {
  return (Lanes8)_mm256_dpbusd_epi32((__m256i)s, (__m256i)a, (__m256i)b);
}

/// 32 numbers as bf16, to nearest even; denormal numbers become zero.
LANES void putPairs32(const float *_Nonnull x, void *_Nonnull target) {
  _mm512_storeu_si512(target, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x)));
}

/// 16 numbers of two rows as pairs of bf16, the first row's in the lower halves.
LANES void putRowPairs16(const float *_Nonnull x, const float *_Nonnull y, void *_Nonnull target) {
  __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x)));
  __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(y)));
  _mm512_storeu_si512(target, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

/// x·factor of 16 numbers to the nearest integer, plus 128, as bytes.
LANES void putBytes16(const float *_Nonnull x, float factor, void *_Nonnull target) {
  __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(factor)));
  _mm_storeu_si128((__m128i *)target, _mm512_cvtepi32_epi8(_mm512_add_epi32(q, _mm512_set1_epi32(128))));
}

#else

// Never called: the twins are.
LANES Lanes16 addPairs16(Lanes16 s, Lanes16 a, Lanes16 b) { return s; }
LANES Lanes8 addPairs8(Lanes8 s, Lanes8 a, Lanes8 b) { return s; }
LANES Lanes16 addBytes16(Lanes16 s, Lanes16 a, Lanes16 b) { return s; }
LANES Lanes8 addBytes8(Lanes8 s, Lanes8 a, Lanes8 b) { return s; }
LANES void putPairs32(const float *_Nonnull x, void *_Nonnull target) {}
LANES void putRowPairs16(const float *_Nonnull x, const float *_Nonnull y, void *_Nonnull target) {}
LANES void putBytes16(const float *_Nonnull x, float factor, void *_Nonnull target) {}

#endif

#undef LANES
