// One step of AdamW for one parameter. The norm that gradient clipping needs is `sumOfSquares` (Loss.cu).

#include "portable.cuh"

/// m ← β₁m + (1 − β₁)g,  v ← β₂v + (1 − β₂)g²,  w ← w·kept − rate·m/(√v/correction + ε),  where g = factor·gradient
///
/// Values that depend only on the settings are computed by the caller in double precision and rounded once, so that
/// 1 − β₂ does not lose digits.
///
/// - parameter, firstMoment, secondMoment [count], changed in place
/// - gradient [count]
/// - beta1, rest1, beta2, rest2: β₁, 1 − β₁, β₂, 1 − β₂
/// - rate: lr/(1 − β₁ᵗ); correction: √(1 − β₂ᵗ); kept: 1 − lr·decay; factor: the clip factor
/// - grid ⌈count/256⌉ or fewer; block 256
KERNEL(adamW, float *parameter, float *firstMoment, float *secondMoment, const float *gradient, float beta1,
       float rest1, float beta2, float rest2, float rate, float correction, float kept, float epsilon, float factor,
       long long count) {
  for (long long i = GRID_FIRST; i < count; i += GRID_STEP) {
    const float g = gradient[i] * factor;
    const float m = beta1 * firstMoment[i] + rest1 * g;
    const float v = beta2 * secondMoment[i] + rest2 * g * g;
    firstMoment[i] = m;
    secondMoment[i] = v;
    parameter[i] = parameter[i] * kept - rate * m / (sqrtf(v) / correction + epsilon);
  }
}
