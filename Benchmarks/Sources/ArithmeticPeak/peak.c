// The loops behind the peak rates. Sixteen sums are independent of each other, more than a processor has in flight.

#include "arithmetic_peak.h"

#define SUMS 16
#define EACH(i) for (int i = 0; i < SUMS; i++)

// Whatever is stored here was computed.
static volatile float sink;

#if defined(__AVX512F__)
#include <immintrin.h>

double mvar_arithmetic_float32(long rounds) {
  __m512 sums[SUMS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f);
  EACH(i) sums[i] = _mm512_set1_ps((float)i);
  for (long round = 0; round < rounds; round++) {
#pragma clang loop unroll(full)
    EACH(i) sums[i] = _mm512_fmadd_ps(sums[i], a, b);
  }
  EACH(i) sink = _mm512_reduce_add_ps(sums[i]);
  return 2.0 * 16 * SUMS * (double)rounds;
}
#else
typedef float lanes __attribute__((vector_size(32)));

double mvar_arithmetic_float32(long rounds) {
  lanes sums[SUMS], a = (lanes){0} + 0.999f, b = (lanes){0} + 1e-3f;
  EACH(i) sums[i] = (lanes){0} + (float)i;
  for (long round = 0; round < rounds; round++) {
#pragma clang fp contract(fast)
#pragma clang loop unroll(full)
    EACH(i) sums[i] = sums[i] * a + b;
  }
  EACH(i) sink = sums[i][0];
  return 2.0 * 8 * SUMS * (double)rounds;
}
#endif

#if defined(__AVX512BF16__)
double mvar_arithmetic_bf16(long rounds) {
  __m512 sums[SUMS];
  __m512bh a = (__m512bh)_mm512_set1_epi16(0x3f80), b = a;
  EACH(i) sums[i] = _mm512_set1_ps((float)i);
  for (long round = 0; round < rounds; round++) {
    // The compiler must not know that the factors stay the same.
    __asm__ volatile("" : "+v"(a), "+v"(b));
#pragma clang loop unroll(full)
    EACH(i) sums[i] = _mm512_dpbf16_ps(sums[i], a, b);
  }
  EACH(i) sink = _mm512_reduce_add_ps(sums[i]);
  return 2.0 * 32 * SUMS * (double)rounds;
}
#else
double mvar_arithmetic_bf16(long rounds) { return 0; }
#endif

#if defined(__AVX512VNNI__)
double mvar_arithmetic_int8(long rounds) {
  __m512i sums[SUMS], a = _mm512_set1_epi8(1), b = a;
  EACH(i) sums[i] = _mm512_set1_epi32(i);
  for (long round = 0; round < rounds; round++) {
    __asm__ volatile("" : "+v"(a), "+v"(b));
#pragma clang loop unroll(full)
    EACH(i) sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
  }
  EACH(i) sink = (float)_mm512_reduce_add_epi32(sums[i]);
  return 2.0 * 64 * SUMS * (double)rounds;
}
#else
double mvar_arithmetic_int8(long rounds) { return 0; }
#endif
