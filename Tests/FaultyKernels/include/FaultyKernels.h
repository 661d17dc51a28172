// Kernels with a mistake each, for tests of the emulator: does it find what it promises to find?

#ifndef FAULTY_KERNELS_H
#define FAULTY_KERNELS_H

#ifdef __cplusplus
extern "C" {
#endif

/// Makes the file "Faulty.cu" known to the emulated driver; calls after the first do nothing.
void faulty_kernels_add(void);

#ifdef __cplusplus
}
#endif

#endif
