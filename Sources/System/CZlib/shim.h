// The input that zlib reads is const.
#define ZLIB_CONST
#include <zlib.h>
