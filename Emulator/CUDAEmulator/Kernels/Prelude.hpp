// What precedes a kernel file: CUDA C++ for the host, and the kernels' headers, which are included here once so that
// the kernel file itself can be in an unnamed namespace. Its names are then private: helpers of the same name may
// differ between kernel files, and no kernel's simple name (`scale`, `slice`) collides with one from another library.

#pragma once
#include "../Device.hpp"
#include "../Registry.hpp"

#include "attention.cuh"
#include "portable.cuh"
#include "product.cuh"
#include "reductions.cuh"
