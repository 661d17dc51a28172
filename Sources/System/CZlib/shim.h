// Makes zlib's input pointers const.
#define ZLIB_CONST
#include <zlib.h>
