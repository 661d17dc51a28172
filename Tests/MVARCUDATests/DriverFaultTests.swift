// The emulator detects what it promises to detect: every kernel here has one deliberate mistake.
//
// Mistakes that the emulator cannot name show up in the results: reads of unwritten memory as NaN, reads outside a
// buffer as huge values, missing synchronization as results that differ between two schedules.

import CUDAEmulator
import CUDAFaultyKernels
import MVARCUDA
import Testing

extension EmulatedDevice {
  @Suite struct DriverFaultTests {
    // MARK: Threads that do not wait

    /// Both schedules that the operators are tested under detect all of these.
    @Test("Right kernels give the same result under every schedule", arguments: ["reverse", "reverseCopied"])
    func right(kernel: String) throws {
      for schedule in 0..<8 as Range<UInt32> {
        #expect(try Faulty.run(kernel, schedule: schedule) == Faulty.reversed)
      }
    }

    @Test func rightLoop() throws {
      for schedule in 0..<8 as Range<UInt32> {
        #expect(try Faulty.run("reverseTwice", blocks: 1, numbers: 512, schedule: schedule) == Faulty.reversed)
      }
    }

    @Test func missingBarrier() throws {
      for schedule in [0, 3] as [UInt32] {
        let found = try Faulty.run("reverseWithoutBarrier", schedule: schedule)
        // Half the threads are too early, and read unwritten memory.
        #expect(found.contains(where: \.isNaN) && found != Faulty.reversed)
      }
      let (forward, backward) = (
        try Faulty.run("reverseWithoutBarrier", schedule: 0), try Faulty.run("reverseWithoutBarrier", schedule: 1)
      )
      #expect(zip(forward, backward).contains { $0.isNaN != $1.isNaN })
    }

    @Test func missingBarrierBeforeWritingAgain() throws {
      for schedule in [0, 3] as [UInt32] {
        let found = try Faulty.run("reverseTwiceWithoutSecondBarrier", blocks: 1, numbers: 512, schedule: schedule)
        #expect(found != Faulty.reversed && found.allSatisfy(\.isFinite))
      }
    }

    @Test func missingWaitForCopies() throws {
      // Copies that arrive as late as allowed reveal it; copies that arrive immediately do not.
      #expect(try Faulty.run("reverseCopiedWithoutWait", schedule: 0).allSatisfy(\.isNaN))
      #expect(try Faulty.run("reverseCopiedWithoutWait", schedule: 3) == Faulty.reversed)
    }

    @Test func copiesThatStartTooEarly() throws {
      // Here it is the other way around.
      #expect(try Faulty.run("copiedTooEarly", blocks: 1, numbers: 512, schedule: 0) == Faulty.reversed)
      #expect(try Faulty.run("copiedTooEarly", blocks: 1, numbers: 512, schedule: 3) != Faulty.reversed)
    }

    @Test("Threads that wait for ever are named", arguments: 0..<4 as Range<UInt32>)
    func deadlocks(schedule: UInt32) {
      #expect(
        Faulty.report("barrierForSome", schedule: schedule)
          == "barrierForSome: deadlock in block (0, 0, 0): thread 0 waits at __syncthreads; 156 threads have ended")
      let report = Faulty.report("barrierBesideShuffle", schedule: schedule)
      #expect(report.hasPrefix("barrierBesideShuffle: deadlock in block (0, 0, 0): thread 0 waits at __syncthreads; "))
      #expect(report.contains("thread 16 waits at __shfl_xor_sync; "))
    }

    // MARK: Memory

    @Test("Writing outside a buffer is found", arguments: ["writesBehind", "writesBefore"])
    func writingOutside(kernel: String) throws {
      let place = kernel == "writesBehind" ? "behind" : "before"
      // Whether or not the last element ends where a block of a pool would.
      for count in [1, 128, 1000] {
        #expect(
          Faulty.report(kernel, count: count)
            == "\(kernel): something was written \(place) an allocation of \(count * 4) bytes")
      }
      // The next launch is not blamed for it.
      #expect(try Faulty.run("reverse") == Faulty.reversed)
    }

    @Test func copyingFromBehindToBehind() {
      #expect(
        Faulty.report("copiesOneMore", x: true, count: 64)
          == "copiesOneMore: something was written behind an allocation of 256 bytes")
    }

    @Test func readingOutside() throws {
      let found = try Faulty.run("readsBehind", numbers: 300, count: true)
      #expect(found.dropLast() == Faulty.numbers[1..<300])
      #expect(try #require(found.last) > 1e28)
    }

    @Test func readingWhatWasNeverWritten() throws {
      let pool = try Faulty.pool()
      let (y, x) = (try pool.makeBuffer(byteCount: 400), try pool.makeBuffer(byteCount: 400))
      try Faulty.launch("copies", on: pool, blocks: 1, [.pointer(y, offset: 0), .pointer(x, offset: 0), .long(100)])
      #expect(try Faulty.read(y, count: 100, pool).allSatisfy(\.isNaN))
    }

    @Test("Shared memory is no block's before it is written", arguments: [0, 1024])
    func sharedMemory(dynamicBytes: Int) throws {
      let kernel = dynamicBytes == 0 ? "sharedOfAnotherBlock" : "dynamicSharedOfAnotherBlock"
      for schedule in [0, 3] as [UInt32] {
        let found = try Faulty.run(kernel, dynamicBytes: dynamicBytes, schedule: schedule)
        #expect(Array(found[..<256]) == Array(Faulty.numbers[..<256]) && found[256...].allSatisfy(\.isNaN))
      }
    }

    @Test func sharedMemoryThatNobodyAskedFor() {
      let report = Faulty.report("dynamicSharedOfAnotherBlock", x: true, dynamicBytes: 47 << 10)
      #expect(
        report == "dynamicSharedOfAnotherBlock: more shared memory than cuFuncSetAttribute has allowed")
      #expect(
        Faulty.report("dynamicSharedOfAnotherBlock", x: true, dynamicBytes: 100 << 10)
          == "more shared memory than a block can have")
    }

    @Test func pointersToNoDeviceMemory() throws {
      let pool = try Faulty.pool()
      let x = try pool.makeBuffer(byteCount: 1024)
      #expect(
        Faulty.message {
          try Faulty.launch("copies", on: pool, blocks: 1, [.null, .pointer(x, offset: 1 << 40), .long(0)])
        } == "copies: parameter 1 is no device memory")
    }

    @Test func freeingTwice() throws {
      let pool = try Faulty.pool()
      let watched = try pool.makeBuffer(byteCount: 1)  // makes the device's context current for this thread
      defer { withExtendedLifetime(watched) {} }
      typealias Allocate = @convention(c) (UnsafeMutablePointer<UInt64>, Int) -> Int32
      typealias Free = @convention(c) (UInt64) -> Int32
      let allocate = unsafeBitCast(cudaemu_symbol("cuMemAlloc_v2"), to: Allocate.self)
      let free = unsafeBitCast(cudaemu_symbol("cuMemFree_v2"), to: Free.self)
      var address: UInt64 = 0
      #expect(allocate(&address, 100) == 0 && free(address + 4) != 0 && free(address) == 0 && free(address) != 0)
      #expect(String(cString: cudaemu_error()) == "freeing what is no allocation")
    }

    @Test func leaks() throws {
      let pool = try Faulty.pool()
      let (allocations, bytes) = (cudaemu_live_allocations(), cudaemu_live_bytes())
      var buffer: CUDABuffer? = try pool.makeBuffer(byteCount: 1000)
      #expect(cudaemu_live_allocations() == allocations + 1 && cudaemu_live_bytes() == bytes + 1000)
      withExtendedLifetime(buffer) {}
      buffer = nil
      #expect(cudaemu_live_allocations() == allocations && cudaemu_live_bytes() == bytes)
    }

    // MARK: Sizes and alignment

    @Test func alignment() {
      #expect(
        Faulty.report("copyNotAligned", x: true)
          == "copyNotAligned: cp.async: 16 bytes that are not aligned in thread 0 of block (0, 0, 0)")
      #expect(
        Faulty.report("rowsNotAligned")
          == "rowsNotAligned: ldmatrix: a row is not aligned to 16 bytes in thread 255 of block (0, 0, 0)")
    }

    @Test func partsOfWarps() {
      #expect(
        Faulty.report("shuffleOfHalf", x: true)
          == "shuffleOfHalf: a shuffle by part of a warp in thread 0 of block (0, 0, 0)")
      #expect(Faulty.report("reverse", x: true, threads: 48).hasPrefix("reverse: a grid of 1 × 1 × 1 blocks of 48 × 1"))
      #expect(Faulty.report("reverse", x: true, threads: 2048).hasSuffix("at most 2³¹ − 1, 65535 and 65535 blocks"))
    }
  }
}
