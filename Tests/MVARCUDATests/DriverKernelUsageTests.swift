// What the run-time compiler says about kernels, read from its logs: as versions 12.0 and 13.2 write them.

import MVARCUDA
import Testing

@Suite struct DriverKernelUsageTests {
  @Test func logs() {
    let log = """
      ptxas info    : 304 bytes gmem
      ptxas info    : Compiling entry function 'transpose' for 'sm_89'
      ptxas info    : Function properties for transpose
      ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
      ptxas info    : Used 34 registers, 4224 bytes smem, 384 bytes cmem[0]
      ptxas info    : Compiling entry function 'bicubicResize' for 'sm_89'
      ptxas info    : Function properties for bicubicResize
      ptxas         .     8 bytes stack frame, 16 bytes spill stores, 12 bytes spill loads
      ptxas info    : Used 40 registers, used 0 barriers, 8 bytes cumulative stack size, 392 bytes cmem[0]
      ptxas info    : Compile time = 43.937 ms
      """
    #expect(
      KernelUsage.parse(log) == [
        KernelUsage(kernel: "transpose", registers: 34, sharedBytes: 4224),
        KernelUsage(kernel: "bicubicResize", registers: 40, stackBytes: 8, spilledBytes: 28),
      ])
    #expect(KernelUsage.parse("").isEmpty)
  }
}
