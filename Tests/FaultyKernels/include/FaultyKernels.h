// Kernels with one mistake each, for tests of the emulator: does it detect what it promises to detect?

#ifndef FAULTY_KERNELS_H
#define FAULTY_KERNELS_H

#ifdef __cplusplus
extern "C" {
#endif

/// Registers the file "Faulty.cu" with the emulated driver; calls after the first do nothing.
void faulty_kernels_add(void);

#ifdef __cplusplus
}
#endif

#endif
