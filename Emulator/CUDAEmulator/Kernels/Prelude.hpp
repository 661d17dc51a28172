// What stands before a kernel file: CUDA C++ for the host, and the headers of the kernels, which are read here once so
// that the kernel file itself can lie in an unnamed namespace. Its names then belong to it alone: the same helper may
// mean different things in two kernel files, and no kernel's plain name (`scale`, `slice`) meets one of another
// library.

#pragma once
#include "../Device.hpp"
#include "../Registry.hpp"

#include "attention.cuh"
#include "portable.cuh"
#include "product.cuh"
#include "reductions.cuh"
