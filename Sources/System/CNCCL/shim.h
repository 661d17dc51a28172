// The one type of NCCL that is passed by value, which needs a C declaration: 128 bytes that identify a communicator. The
// library itself is found when the program runs.

#pragma once

/// What the first rank makes and all ranks of a communicator are given.
typedef struct {
  unsigned char bytes[128];
} NCCLUniqueID;
