// The program `gpu-check`. Its commands are the target MVARGPUCheck, and those of `mvar`.

import MVARGPUCheck

GPUCheck.start()
