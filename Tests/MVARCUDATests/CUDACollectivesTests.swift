// Ranks with a GPU each: whether they are connected, and a training whose gradients and moments go from GPU to GPU beside
// one in which they go through the host.

import CUDAEmulator
import Foundation
import MVAR
import MVARCUDA
import MVARCollectives
import MVARTestSupport
import MVARTraining
import TensorCore
import Testing

@Suite struct RankGPUTests {
  private let own = RankGPU(version: "2.21.5", problem: nil, machine: "a", gpu: "0000:01:00")

  @Test func nothingInTheWay() {
    var others = [own, own, own]
    others[1].gpu = "0000:02:00"
    others[2].machine = "b"
    #expect(RankGPU.obstacle(others) == nil && RankGPU.obstacle([own]) == nil)
    #expect(others.allSatisfy { RankGPU(text: $0.text) == $0 })
    #expect(!RankGPU.machine.isEmpty)
  }

  @Test func obstacles() {
    let absent = RankGPU(version: nil, problem: "NCCL could not be loaded; tried\nx", machine: "a", gpu: "2")
    #expect(RankGPU.obstacle([own, RankGPU(text: absent.text)]) == "on rank 1 NCCL could not be loaded; tried x")
    #expect(RankGPU.obstacle([absent, own]) == absent.problem)
    let older = RankGPU(version: "2.18.1", problem: nil, machine: "a", gpu: "2")
    #expect(RankGPU.obstacle([own, older]) == "rank 1 has NCCL 2.18.1 and rank 0 2.21.5")
    #expect(
      RankGPU.obstacle([own, RankGPU(version: "2.21.5", problem: nil, machine: "b", gpu: "1"), own])
        == "ranks 0 and 2 share the GPU 0000:01:00, and NCCL needs one for each")
  }
}

extension EmulatedDevice {
  @Suite struct CUDACollectivesTests {
    /// Where a trained rank ends.
    private struct End: Sendable {
      var parameters: [[Float]]
      var loss: Double
    }

    /// A step of a tiny tokenizer on two ranks.
    private func train(byNCCL: Bool, sharingMoments: Bool) throws -> (ends: [End], reads: HostReads) {
      var ends: [End] = []
      let reads = try HostReads.during {
        ends = try ThreadRank.run(2) { rank, engine in
          var collectives: any Collectives = rank
          if byNCCL {
            collectives = try #require(connected(try CUDACollectives.connect(rank, engine) { _ in try emulatedNCCL() }))
          }
          let model = try TinyModels.tokenizer(CUDA.self, on: engine)
          let trainer = TokenizerTrainer(model, collectives: collectives, sharingMoments: sharingMoments)
          var random = RandomValues(seed: UInt64(rank.rank))
          let images: Tensor<CUDA> = try random.normal([1, 3, 8, 8]).tensor(CUDA.self, on: engine)
          let loss = try trainer.step(images, rate: 1e-3, decay: 0.05).loss.total
          let end = End(parameters: try model.parameters.map { try $0.value.scalars() }, loss: loss)
          (collectives as? CUDACollectives)?.finish()
          return end
        }.map { try $0.get() }
      }
      return (ends, reads)
    }

    @Test("A step by NCCL is that through the host, bit by bit, also where ranks share the moments")
    func training() throws {
      let operations = cudaemu_nccl_operations()
      let host = try train(byNCCL: false, sharingMoments: false)
      let direct = try train(byNCCL: true, sharingMoments: false)
      let shared = try train(byNCCL: true, sharingMoments: true)
      for (found, expected) in zip(direct.ends + shared.ends, host.ends + host.ends) {
        #expect(found.loss == expected.loss && found.parameters == expected.parameters)
      }
      #expect(direct.ends[0].parameters == direct.ends[1].parameters)
      // Through the host, each rank reads every gradient.
      let gradients = 2 * direct.ends[0].parameters.count
      #expect(direct.reads.copies + gradients == host.reads.copies && shared.reads.copies == direct.reads.copies)
      #expect(cudaemu_nccl_operations() > operations && cudaemu_live_nccl_communicators() == 0)
    }

    @Test("Two ranks on one GPU, a library that is missing, and MVAR_NCCL=off go through the host")
    func hostOnly() throws {
      for (variable, sharesGPU, expected) in [
        ("", true, "ranks 0 and 1 share the GPU 0000:01:00"),
        ("/nowhere/nccl.so", false, "NCCL could not be loaded; tried /nowhere/nccl.so (cannot open"),
        ("off", false, "MVAR_NCCL is off"),
      ] {
        let search = LibrarySearch(environment: ["MVAR_NCCL": variable], home: "/nowhere", root: "/nowhere")
        let reasons = try ThreadRank.run(2, sharingGPU: sharesGPU) { rank, engine in
          let connection = try CUDACollectives.connect(rank, engine, search) {
            sharesGPU ? try emulatedNCCL() : try NCCL.find($0)
          }
          if case .hostOnly(let reason) = connection { return reason }
          return ""
        }.map { try $0.get() }
        #expect(reasons[0].hasPrefix(expected) && reasons[1] == reasons[0], "\(reasons)")
      }
    }
  }
}

/// The GPUs of a connection, if it is one.
private func connected(_ connection: CUDACollectives.Connection) -> CUDACollectives? {
  if case .connected(let collectives) = connection { collectives } else { nil }
}
