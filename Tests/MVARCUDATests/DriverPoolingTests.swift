// Rectification and pooling of the CUDA engine on the emulated device, against plain loops, under two schedules.

import CUDAEmulator
import MVARCUDA
import MVARTestSupport
import TensorCore
import Testing

extension EmulatedDevice {
  @Suite struct DriverPoolingTests {
    @Test(
      "Windows of any side, stride and padding", arguments: [0, 3] as [UInt32],
      [
        PoolingWindow(side: 3, stride: 2), PoolingWindow(side: 3, padding: 1),
        PoolingWindow(side: 2, stride: 3, padding: 1),
      ])
    func pooling(schedule: UInt32, window: PoolingWindow) throws {
      cudaemu_set_schedule(schedule)
      defer { cudaemu_set_schedule(0) }
      var random = RandomValues(seed: 4)
      for shape in [[1, 1, 3, 3], [2, 3, 17, 12]] as [Shape] {
        let values = random.normal(shape)
        let (x, plain) = (try values.tensor(CUDA.self, on: Emulator.shared), try values.tensor(Reference<Float>.self))
        #expect(try CUDA.maxPool(x, window).scalars() == Reference<Float>.maxPool(plain, window).storage)
        let (found, expected) = (CUDA.averagePool(x, window), Reference<Float>.averagePool(plain, window))
        #expect(found.shape == expected.shape)
        #expect(zip(try found.scalars(), expected.storage).allSatisfy { abs($0 - $1) < 1e-6 })
      }
    }

    @Test func rectification() throws {
      let values: [Float] = [-1, 0, 2, .nan, -.infinity, .infinity]
      let x = try Tensor<CUDA>(values, shape: [6], on: Emulator.shared)
      let found = try CUDA.relu(x).scalars()
      #expect(
        found[0] == 0 && found[1] == 0 && found[2] == 2 && found[3].isNaN && found[4] == 0 && found[5] == .infinity)
    }
  }
}
