// Operations of several GPUs by an emulated NCCL: what they compute, as work of a stream and in a launch graph, and the
// errors when ranks do not do the same, do not come, or the library is missing.

import CUDAEmulator
import Foundation
import MVARCUDA
import MVARTestSupport
import TensorCore
import Testing

extension EmulatedDevice {
  @Suite struct DriverNCCLTests {
    /// The elements of a rank, whose sums are not exact.
    private static func values(_ count: Int, _ rank: Int) -> [Float] {
      let random = RandomStream(seed: 7, stream: UInt64(rank))
      return (0..<count).map { Float(random.uniform($0, purpose: .initialization) - 0.5) }
    }

    /// Runs a body on all ranks, connected.
    private func ranks<Output: Sendable>(
      _ count: Int, _ body: @escaping @Sendable (NCCLCommunicator) throws -> Output
    ) throws -> [Output] {
      let library = try emulatedNCCL()
      let identifier = try library.makeIdentifier()
      return try ThreadRank.run(count) { rank, engine in
        let communicator = try NCCLCommunicator(
          library, identifier: identifier, rank: rank.rank, count: count, on: engine)
        defer { communicator.close() }
        return try body(communicator)
      }.map { try $0.get() }
    }

    /// One element, a few, and more than are exchanged at once.
    @Test("Sums, parts of sums, and what all have", arguments: [1, 2, 3], [1, 5, 140_001])
    func everyOperation(count: Int, length: Int) throws {
      let (allocations, communicators) = (cudaemu_live_allocations(), cudaemu_live_nccl_communicators())
      let all = (0..<count).map { Self.values(count * length, $0) }
      // In the order of ranks.
      let sums = all[0].indices.map { place in all[1...].reduce(all[0][place]) { $0 + $1[place] } }
      let results = try ranks(count) { ranks in
        let own = all[ranks.rank]
        func tensor() throws -> Tensor<CUDA> { try Tensor(own, shape: [count * length], on: ranks.engine) }
        let reduced = try tensor()
        try ranks.allReduce(reduced)
        let scattered = try ranks.reduceScatter(tensor())
        let gathered = try ranks.allGather(scattered)
        let broadcast = try ranks.broadcast([(tensor(), count - 1), (tensor(), 0)])
        try ranks.checkForFailure()
        return try [reduced, scattered, gathered, broadcast[0], broadcast[1]].map { try $0.scalars() }
      }
      for (rank, found) in results.enumerated() {
        #expect(found[0] == sums && found[2] == sums)
        #expect(found[1] == Array(sums[rank * length..<(rank + 1) * length]))
        #expect(found[3] == all[count - 1] && found[4] == all[0])
      }
      #expect(cudaemu_live_allocations() == allocations && cudaemu_live_nccl_communicators() == communicators)
    }

    @Test func partsOfTensorsAndNothing() throws {
      let results = try ranks(2) { ranks in
        let x = try Tensor<CUDA>([1, 2, 3, 4], shape: [4], on: ranks.engine)
        // Only the middle of the buffer.
        try ranks.allReduce(x.rows(1..<3))
        try ranks.allReduce(x.rows(2..<2))
        return try x.scalars()
      }
      #expect(results.allSatisfy { $0 == [1, 4, 6, 4] })
    }

    @Test("A sum in a launch graph takes place whenever the graph is launched")
    func recorded() throws {
      let results = try ranks(2) { ranks in
        let engine = ranks.engine
        let recorder = try #require(CUDA.makeRecorder(on: engine))
        let place = Tensor<CUDA>(repeating: 0, shape: [3], on: engine)
        let work = try CUDA.record(with: recorder) { try ranks.allReduce(place) }
        #expect(try place.scalars() == [0, 0, 0])
        return try (1...2).map { number in
          let x = Tensor<CUDA>(repeating: Float(number + ranks.rank), shape: [3], on: engine)
          CUDA.perform(work, on: x, at: place)
          return try place.scalars()[2]
        }
      }
      #expect(results.allSatisfy { $0 == [3, 5] })
    }

    // MARK: Ranks that do not do the same

    /// The errors of two ranks, within a time in which nobody waits for long.
    private func failures(
      patience: UInt32 = 20000, sharingGPU: Bool = false, counts: [Int] = [2, 2],
      _ body: @escaping @Sendable (NCCLCommunicator) throws -> Void
    ) throws -> [String] {
      cudaemu_set_nccl_timeout(patience)
      defer { cudaemu_set_nccl_timeout(0) }
      let library = try emulatedNCCL()
      let identifier = try library.makeIdentifier()
      let results = ThreadRank.run(2, sharingGPU: sharingGPU) { rank, engine in
        let communicator = try NCCLCommunicator(
          library, identifier: identifier, rank: rank.rank, count: counts[rank.rank], on: engine)
        try body(communicator)
      }
      return results.map { result in
        if case .failure(let error) = result { "\(error)" } else { "none" }
      }
    }

    @Test func otherLengths() throws {
      let found = try failures { ranks in
        try ranks.allReduce(Tensor(repeating: 1, shape: [3 + ranks.rank], on: ranks.engine))
      }
      #expect(
        found.allSatisfy {
          $0
            == "ncclAllReduce failed: ncclInvalidUsage (5), rank 0 calls ncclAllReduce of 3 and rank 1 ncclAllReduce of 4"
        }, "\(found)")
    }

    @Test func aRankThatDoesNotCome() throws {
      let found = try failures(patience: 200) { ranks in
        // The other one is there, and late.
        if ranks.rank == 1 { return Thread.sleep(forTimeInterval: 1) }
        try ranks.allReduce(Tensor(repeating: 1, shape: [2], on: ranks.engine))
      }
      #expect(
        found == ["ncclAllReduce failed: ncclSystemError (2), ncclAllReduce: rank 1 did not come in time", "none"])
    }

    @Test func aRankThatLeaves() throws {
      let found = try failures { ranks in
        if ranks.rank == 1 { return ranks.abort() }
        try ranks.allReduce(Tensor(repeating: 1, shape: [2], on: ranks.engine))
      }
      #expect(found == ["ncclAllReduce failed: ncclRemoteError (6), ncclAllReduce: rank 1 is gone", "none"])
    }

    @Test("Aborting from another thread ends the waiting")
    func abort() throws {
      let began = ContinuousClock.now
      let found = try failures { ranks in
        if ranks.rank == 1 { return Thread.sleep(forTimeInterval: 0.5) }
        Thread.detachNewThread {
          Thread.sleep(forTimeInterval: 0.1)
          ranks.abort()
        }
        do {
          try ranks.allReduce(Tensor(repeating: 1, shape: [2], on: ranks.engine))
        } catch {
          #expect("\(error)".hasSuffix("ncclAllReduce: the communicator was aborted"))
        }
        #expect(throws: CUDAError.unsuitableLibrary("the GPUs are no longer connected")) {
          try ranks.allReduce(Tensor(repeating: 1, shape: [2], on: ranks.engine))
        }
      }
      #expect(found == ["none", "none"] && ContinuousClock.now - began < .seconds(10))
    }

    @Test func twoRanksOnOneGPU() throws {
      let found = try failures(sharingGPU: true) { _ in }
      let expected =
        "ncclCommInitRank failed: ncclInvalidUsage (5), Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 1"
      #expect(found == [expected, expected])
    }

    @Test func otherNumbersOfRanks() throws {
      let found = try failures(patience: 2000, counts: [2, 3]) { _ in }
      #expect(found.allSatisfy { $0.hasPrefix("ncclCommInitRank failed: ncclInvalidArgument (4), ") }, "\(found)")
    }

    // MARK: The library

    @Test func whatWasFound() throws {
      #expect(try emulatedNCCL().version == "2.99.0" && emulatedNCCL().name == "emulator")
      let old = cudaError { _ = try NCCL(name: "old") { $0 == "ncclGroupEnd" ? nil : cudaemu_symbol($0) } }
      #expect(old == .functionMissing("ncclGroupEnd", library: "old"))
      let none = cudaError { _ = try NCCL(name: "other") { _ in nil } }
      #expect(none == .functionMissing("ncclGetVersion", library: "other"))
    }

    @Test("Versions are read in both ways in which they are written", arguments: [(2804, "2.8.4"), (21212, "2.12.12")])
    func versions(number: Int32, text: String) {
      typealias Version = @convention(c) (UnsafeMutablePointer<Int32>) -> Int32
      let old: Version = {
        $0.pointee = 2804; return 0
      }
      let newer: Version = {
        $0.pointee = 21212; return 0
      }
      let error = cudaError {
        _ = try emulatedNCCL {
          $0 == "ncclGetVersion" ? unsafeBitCast(number == 2804 ? old : newer, to: UnsafeMutableRawPointer.self) : nil
        }
      }
      #expect(error?.description == "version \(text) is older than 2.13")
    }

    @Test func missingLibraryNamesEveryPlace() throws {
      let search = LibrarySearch(environment: ["MVAR_NCCL": "/nowhere/nccl.so"], home: "/nowhere", root: "/nowhere")
      #expect(
        cudaError { _ = try NCCL.find(search) }?.description
          == "NCCL could not be loaded; tried /nowhere/nccl.so "
          + "(cannot open shared object file: No such file or directory)")
      let wrong = LibrarySearch(environment: ["MVAR_NCCL": "libm.so.6"], home: "/nowhere", root: "/nowhere")
      #expect(
        cudaError { _ = try NCCL.find(wrong) }?.description
          == "NCCL could not be loaded; tried libm.so.6 (libm.so.6 has no function ncclGetVersion)")
      try withTemporaryFolder { folder in
        let package = "lib/python3.12/site-packages/nvidia/nccl/lib"
        try plant(["venv/\(package)/libnccl.so.2"], in: folder)
        let search = LibrarySearch(environment: ["VIRTUAL_ENV": "\(folder)/venv"], home: folder, root: folder)
        #expect(
          search.candidates(for: .nccl).prefix(3) == [
            .library("libnccl.so.2"), .library("libnccl.so"), .library("\(folder)/venv/\(package)/libnccl.so.2"),
          ])
      }
    }
  }
}
