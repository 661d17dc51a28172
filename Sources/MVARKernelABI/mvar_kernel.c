/* The interface of kernels is a header alone; a target needs a source file. */

#include "mvar_kernel.h"
