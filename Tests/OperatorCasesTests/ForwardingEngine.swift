// An engine that has `Reference<Float>` compute everything, records which functions of the contract were called, and
// corrupts one of their results on request. Its device is carried by every tensor, like that of any engine.

import Synchronization
import TensorCore

/// What is wrong with the results of one function.
struct PlantedFault: Sendable {
  enum Kind: Sendable { case negated, notANumber, infinite, zero, slightlyOff }
  /// The function, without its labels: `dSilu`.
  let function: String
  /// Which of its results, in the order in which they are returned.
  var part = 0
  let kind: Kind

  func apply(to numbers: inout [Float]) {
    guard let last = numbers.indices.last else { return }
    switch kind {
    case .negated: numbers = numbers.map { -$0 }
    case .notANumber: numbers[last] = .nan
    case .infinite: numbers[last] = .infinity
    case .zero: numbers = numbers.map { _ in 0 }
    case .slightlyOff: numbers = numbers.map { $0 * 1.0001 }
    }
  }
}

/// The device of the forwarding engine.
final class ForwardingDevice: Sendable {
  let fault: PlantedFault?
  private let noted = Mutex<Set<String>>([])

  init(fault: PlantedFault? = nil) { self.fault = fault }

  /// The functions that were called, without labels.
  var calls: Set<String> { noted.withLock { $0 } }

  func note(_ function: String) { noted.withLock { _ = $0.insert(String(function.prefix { $0 != "(" })) } }
}

/// The engine.
enum Forwarding: BackendTypes {
  typealias Plain = Reference<Float>
  typealias Scalar = Float
  typealias Device = ForwardingDevice
  typealias Recorder = Never
  typealias RecordedWork = Never

  struct Storage: Sendable {
    var numbers: [Float]
    let device: ForwardingDevice
  }

  struct IndexStorage: Sendable {
    let integers: [Int32]
    let device: ForwardingDevice
  }

  // MARK: Memory

  static func makeStorage(_ values: [Float], on device: ForwardingDevice) -> Storage {
    device.note(#function)
    return Storage(numbers: values, device: device)
  }

  static func makeStorage(repeating value: Float, count: Int, on device: ForwardingDevice) -> Storage {
    device.note(#function)
    return Storage(numbers: [Float](repeating: value, count: count), device: device)
  }

  static func makeStorage(borrowing region: HostRegion, on device: ForwardingDevice) -> Storage {
    device.note(#function)
    return Storage(numbers: Plain.makeStorage(borrowing: region, on: HostDevice()), device: device)
  }

  static func makeIndices(_ values: [Int32], on device: ForwardingDevice) -> IndexStorage {
    device.note(#function)
    return IndexStorage(integers: values, device: device)
  }

  static func scalars(_ storage: Storage) -> [Float] {
    storage.device.note(#function)
    return storage.numbers
  }

  static func indices(_ storage: IndexStorage) -> [Int32] {
    storage.device.note(#function)
    return storage.integers
  }

  static func slice(_ storage: Storage, _ range: Range<Int>) -> Storage {
    storage.device.note(#function)
    return Storage(numbers: Array(storage.numbers[range]), device: storage.device)
  }

  static func device(of storage: Storage) -> ForwardingDevice {
    storage.device.note(#function)
    return storage.device
  }

  // MARK: Forwarding

  /// A tensor for the plain engine.
  static func plain(_ x: Tensor<Self>) -> Tensor<Plain> { Tensor(shape: x.shape, storage: x.storage.numbers) }
  static func plain(_ x: Tensor<Self>?) -> Tensor<Plain>? { x.map { plain($0) as Tensor<Plain> } }
  static func plain(_ x: Indices<Self>) -> Indices<Plain> { Indices(shape: x.shape, storage: x.storage.integers) }
  static func plain(_ x: Heads<Self>) -> Heads<Plain> {
    Heads(queries: plain(x.queries), keys: plain(x.keys), values: plain(x.values))
  }

  /// A function's result: recorded, and corrupted if requested.
  static func give(_ y: Tensor<Plain>, like x: Tensor<Self>, part: Int = 0, from function: String = #function)
    -> Tensor<Self>
  {
    let device = x.storage.device
    device.note(function)
    var numbers = y.storage
    if let fault = device.fault, fault.part == part, function.hasPrefix("\(fault.function)(") {
      fault.apply(to: &numbers)
    }
    return Tensor(shape: y.shape, storage: Storage(numbers: numbers, device: device))
  }

  static func give(_ y: Heads<Plain>, like x: Tensor<Self>, from function: String = #function) -> Heads<Self> {
    Heads(
      queries: give(y.queries, like: x, from: function), keys: give(y.keys, like: x, part: 1, from: function),
      values: give(y.values, like: x, part: 2, from: function))
  }

  static func give(_ y: LinearGradients<Plain>, like x: Tensor<Self>, from function: String = #function)
    -> LinearGradients<Self>
  {
    LinearGradients(
      x: give(y.x, like: x, from: function), weight: give(y.weight, like: x, part: 1, from: function),
      bias: y.bias.map { give($0, like: x, part: 2, from: function) })
  }

  static func give(_ y: Indices<Plain>, like x: Tensor<Self>, from function: String = #function) -> Indices<Self> {
    x.storage.device.note(function)
    return Indices(shape: y.shape, storage: IndexStorage(integers: y.storage, device: x.storage.device))
  }
}
