// Trainings on several emulated GPUs, a process each, with whichever MPI is installed: gradients go from GPU to GPU by an
// emulated NCCL, and losses are those of one process; without NCCL, or without a GPU for each, they go through the host,
// with the same bits.

import Foundation
import MVARTestSupport
import Testing

@Suite("Ranks with GPUs", .serialized)
struct GPURanksTests {
  private static let emoji = Fixtures.path("emoji")

  private static func arguments(batch: Int) -> [String] {
    [
      "train", "--data", emoji, "--tokenizer", "\(emoji)/tokenizer.safetensors", "--depth", "2", "--width", "32",
      "--heads", "2", "--shared-aln", "--steps", "2", "--batch", "\(batch)", "--ratio-k", "1", "--picture-every", "0",
      "--validate-every", "0", "--threads", "1",
    ]
  }

  private static func environment(devices: Int, nccl: String) -> [String: String] {
    let library = CUDACommandTests.library
    return [
      "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "PATH": "/usr/bin:/bin",
      "OPENBLAS_NUM_THREADS": "1", "MVAR_CUDA_DRIVER": library, "MVAR_NVRTC": library, "MVAR_CUDA_CACHE": "",
      "MVAR_NCCL": nccl, "CUDA_EMULATOR_DEVICES": "\(devices)", "CUDA_EMULATOR_NCCL_TIMEOUT": "60000",
    ]
  }

  /// Runs a training on two processes with emulated GPUs.
  private func run(
    _ mpi: MPI, _ arguments: [String], devices: Int = 2, nccl: String = CUDACommandTests.library,
    in folder: String
  ) throws -> Tool.Result {
    try BuiltProgram.run(
      mpi.program, mpi.options + ["-n", "2", Tool.program] + arguments + ["--device", "cuda"], in: folder,
      environment: Self.environment(devices: devices, nccl: nccl))
  }

  private func losses(_ path: String) throws -> [Double] {
    struct Step: Decodable { let loss: Double }
    return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
      try JSONDecoder().decode(Step.self, from: Data($0.utf8)).loss
    }
  }

  @Test("losses are those of one process, and bits those through the host", arguments: MPI.all)
  func training(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      for device in ["cpu", "cuda"] {
        let one = try BuiltProgram.run(
          Tool.program, Self.arguments(batch: 4) + ["--device", device, "-o", device], in: folder,
          environment: Self.environment(devices: 1, nccl: "off"))
        #expect(one.code == 0, "\(one.errors)")
      }
      let direct = try run(mpi, Self.arguments(batch: 2) + ["-o", "direct"], in: folder)
      #expect(direct.code == 0, "\(direct.errors)")
      let line = "gradients are added up from GPU to GPU by NCCL 2.99.0"
      #expect(direct.errors.components(separatedBy: line).count == 2, "\(direct.errors)")
      let found = try losses("\(folder)/direct/metrics.jsonl")
      // On the CPU a few tokens of images may be others, of codes that are as near.
      for (device, bar) in [("cuda", 1e-6), ("cpu", 1e-4)] {
        let expected = try losses("\(folder)/\(device)/metrics.jsonl")
        #expect(
          found.count == 2 && zip(found, expected).allSatisfy { abs($0 - $1) <= bar * $1 },
          "\(device): \(found) \(expected)")
      }

      let shared = try run(mpi, Self.arguments(batch: 2) + ["--share-moments", "-o", "shared"], in: folder)
      #expect(shared.code == 0 && shared.errors.contains(line), "\(shared.errors)")
      for (name, devices, nccl, reason) in [
        ("off", 2, "off", "through the host: MVAR_NCCL is off"),
        ("same", 1, CUDACommandTests.library, "through the host: ranks 0 and 1 share the GPU 0000:01:00, and NCCL"),
      ] {
        let host = try run(mpi, Self.arguments(batch: 2) + ["-o", name], devices: devices, nccl: nccl, in: folder)
        #expect(host.code == 0 && host.errors.components(separatedBy: reason).count == 2, "\(host.errors)")
      }
      for name in ["shared", "off", "same"] {
        for file in ["metrics.jsonl", "transformer.safetensors"] {
          let (a, b) = ("\(folder)/direct/\(file)", "\(folder)/\(name)/\(file)")
          #expect(
            try Data(contentsOf: URL(filePath: a)) == Data(contentsOf: URL(filePath: b)), "\(name)/\(file)")
        }
      }
    }
  }

  @Test("a rank that is killed while others wait for it on their GPUs ends all", arguments: MPI.all)
  func killed(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      var arguments = Self.arguments(batch: 2) + ["--device", "cuda", "-o", "killed-on-gpu"]
      arguments[arguments.firstIndex(of: "--steps")! + 1] = "200"
      let quoted = ([mpi.program] + mpi.options + ["-n", "2", Tool.program] + arguments)
        .map { "'\($0)'" }.joined(separator: " ")
      let script = """
        \(quoted) 2> errors & launcher=$!
        until [ "$(wc -l < killed-on-gpu/metrics.jsonl 2> /dev/null || echo 0)" -ge 1 ]; do sleep 0.05; done
        kill -9 "$(pgrep -n -f '^[^ ]*/mvar train .*-o killed-on-gpu$')"
        began=$(date +%s)
        wait $launcher; status=$?
        echo $status $(( $(date +%s) - began ))
        """
      let result = try BuiltProgram.run(
        "/bin/sh", ["-c", script], in: folder,
        environment: Self.environment(devices: 2, nccl: CUDACommandTests.library))
      // mpirun may say something before.
      let numbers = result.output.split(whereSeparator: \.isWhitespace).suffix(2).compactMap { Int($0) }
      #expect(numbers.count == 2 && numbers[0] != 0 && numbers[1] < 20, "\(result.output) \(result.errors)")
      #expect(try losses("\(folder)/killed-on-gpu/metrics.jsonl").count < 200)
    }
  }

  @Test("an NCCL that fails ends all ranks with one sentence", arguments: MPI.all)
  func failure(_ mpi: MPI) throws {
    try withTemporaryFolder { folder in
      // The second rank's driver is another emulator than its NCCL, for which it has no current device.
      let copy = "\(folder)/other.so"
      try FileManager.default.copyItem(atPath: CUDACommandTests.library, toPath: copy)
      let result = try run(mpi, Self.arguments(batch: 2) + ["-o", "run"], nccl: copy, in: folder)
      #expect(result.code != 0)
      #expect(
        result.errors.contains(
          "mvar: ncclCommInitRank failed: ncclUnhandledCudaError (1), this thread has no current context; MVAR_NCCL=off "
            + "adds up through the host instead"), "\(result.errors)")
    }
  }
}
