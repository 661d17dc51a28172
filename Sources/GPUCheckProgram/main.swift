// The program `gpu-check`. Its commands are the target GPUCheck, and those of `mvar`.

import GPUCheck

GPUCheck.start()
