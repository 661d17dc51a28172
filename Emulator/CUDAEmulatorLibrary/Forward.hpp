// A function that this library exports under its own name and that passes its arguments on to the emulated one.

#pragma once
#include "CUDAEmulatorLibrary.h"

#define FORWARD_RESULT(type, name, parameters, arguments)                                                 \
  type name parameters {                                                                                  \
    static const auto emulated = reinterpret_cast<type(*) parameters>(cudaemu_symbol(#name));             \
    return emulated arguments;                                                                            \
  }
/// For functions that return a status.
#define FORWARD(name, parameters, arguments) FORWARD_RESULT(int, name, parameters, arguments)
