// How many additions and multiplications one thread can do in a second at most: products and sums in registers alone.
#ifndef ARITHMETIC_PEAK_H
#define ARITHMETIC_PEAK_H

// Does some work of each kind and returns how many operations (two for each product and sum) it was; 0 where the processor
// that this was compiled for has no such instruction.
double mvar_arithmetic_float32(long rounds);
double mvar_arithmetic_bf16(long rounds);
double mvar_arithmetic_int8(long rounds);

#endif
