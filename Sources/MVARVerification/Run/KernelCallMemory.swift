// A request file as the C structure that a library is called with, and what the memory holds after the call.

import Foundation
import MVARCheckpoints
import MVARComparison
import MVARFiles
import MVARKernelABI
import OperatorCases

/// The memory of one call: tensors, names, attributes.
final class KernelCallMemory {
  /// A tensor of the call.
  private struct Entry {
    /// Its name in files: `in.x`, `out.queries`.
    let name: String
    let type: ScalarType
    let shape: [Int]
    let buffer: GuardedBuffer
    /// What it held before the call; nil for a result.
    let given: StoredTensor?
  }

  private var inputs: [Entry] = []
  private var outputs: [Entry] = []
  private var cotangents: [Entry] = []
  private var gradients: [Entry] = []
  private let request: Checkpoint
  private var owned: [UnsafeMutableRawPointer] = []

  /// The memory for a request.
  ///
  /// - Throws: `FileError` when the file is no request or does not fit in memory.
  init(_ request: Checkpoint) throws {
    self.request = request
    for (name, tensor) in request.tensors {
      let entry = Entry(
        name: name, type: tensor.scalarType, shape: tensor.shape, buffer: try GuardedBuffer(count: tensor.byteCount),
        given: tensor)
      try tensor.withContiguousBytes { entry.buffer.bytes.copyMemory(from: $0) }
      if name.hasPrefix("in.") { inputs.append(entry) } else { cotangents.append(entry) }
    }
    outputs = try results("outputs")
    gradients = try results("gradients")
  }

  deinit { for memory in owned { free(memory) } }

  private func results(_ key: String) throws -> [Entry] {
    let results = try metadata(key, as: [KernelResult].self)
    return try results.map { result in
      guard let type = ScalarType(safetensorsName: result.dtype) else {
        throw FileError(nil, "the request has a result of the unknown type \(result.dtype)")
      }
      let count = result.shape.reduce(type.byteWidth, *)
      return Entry(
        name: result.name, type: type, shape: result.shape, buffer: try GuardedBuffer(count: count), given: nil)
    }
  }

  private func metadata<Value: Decodable>(_ key: String, as type: Value.Type) throws -> Value {
    guard let text = request.metadata[key], let value = try? JSONDecoder().decode(type, from: Data(text.utf8)) else {
      throw FileError(nil, "the request has no usable `\(key)` in its metadata")
    }
    return value
  }

  // MARK: The call

  /// Calls the kernel.
  ///
  /// - Returns: what it returned.
  /// - Throws: `FileError` when the request has attributes that the operator does not take.
  func call(_ kernel: @convention(c) (UnsafePointer<mvar_call>?) -> Int32) throws -> Int32 {
    let (attributes, inputs, outputs) = (array(try attributes()), tensors(inputs), tensors(outputs))
    let (cotangents, gradients) = (tensors(cotangents), tensors(gradients))
    var call = mvar_call(
      version: Int32(MVAR_KERNEL_VERSION), attribute_count: Int32(attributes.count), input_count: Int32(inputs.count),
      output_count: Int32(outputs.count), grad_output_count: Int32(cotangents.count),
      gradient_count: Int32(gradients.count), operator_name: text(request.metadata["operator"] ?? ""),
      case_name: text(request.metadata["case"] ?? ""), attributes: attributes.baseAddress, inputs: inputs.baseAddress,
      outputs: outputs.baseAddress, grad_outputs: cotangents.baseAddress, gradients: gradients.baseAddress)
    return kernel(&call)
  }

  private func tensors(_ entries: [Entry]) -> UnsafeMutableBufferPointer<mvar_tensor> {
    array(
      entries.map { entry in
        mvar_tensor(
          name: text(Self.contractName(entry.name)), dtype: Int32(code(entry.type)), rank: Int32(entry.shape.count),
          shape: array(entry.shape.map(Int64.init)).baseAddress, data: entry.buffer.bytes.baseAddress)
      })
  }

  /// `in.x` is `x`, `out` and `grad_out` are `output`, `grad_out.queries` is `queries`.
  private static func contractName(_ name: String) -> String {
    name.firstIndex(of: ".").map { String(name[name.index(after: $0)...]) } ?? "output"
  }

  private func code(_ type: ScalarType) -> Int {
    let isTF32 = request.metadata["dtype"] == "tf32"
    return switch type {
    case .float64: MVAR_FLOAT64
    case .float32: isTF32 ? MVAR_TF32 : MVAR_FLOAT32
    case .bfloat16: MVAR_BFLOAT16
    case .float16: MVAR_FLOAT16
    default: MVAR_INT64
    }
  }

  private func attributes() throws -> [mvar_attribute] {
    let specification = OperatorCatalog.specification(of: request.metadata["operator"] ?? "")
    return try metadata("attributes", as: [String: JSONValue].self).sorted { $0.key < $1.key }.map { name, json in
      guard let type = specification?.attribute(name)?.type else {
        throw FileError(nil, "the operator takes no attribute `\(name)`")
      }
      return attribute(name, try type.value(of: json, named: name))
    }
  }

  private func attribute(_ name: String, _ value: OperatorAttribute.Value) -> mvar_attribute {
    var attribute = mvar_attribute(
      name: text(name), kind: Int32(MVAR_NUMBERS), count: 0, integer: 0, number: 0, text: text(""), numbers: nil)
    var numbers: [Double] = []
    switch value {
    case .integer(let integer):
      (attribute.kind, attribute.integer, attribute.number) = (Int32(MVAR_INTEGER), Int64(integer), Double(integer))
    case .number(let number): (attribute.kind, attribute.number) = (Int32(MVAR_NUMBER), number)
    case .choice(let choice): (attribute.kind, attribute.text) = (Int32(MVAR_TEXT), text(choice))
    case .numbers(let values): numbers = values
    case .range(let range): numbers = [Double(range.lowerBound), Double(range.upperBound)]
    case .spans(let spans):
      numbers = spans.flatMap {
        [$0.queries.lowerBound, $0.queries.upperBound, $0.keys.lowerBound, $0.keys.upperBound].map(Double.init)
      }
    }
    attribute.count = Int32(numbers.count)
    attribute.numbers = UnsafePointer(array(numbers).baseAddress)
    return attribute
  }

  // MARK: Memory that lives as long as this value

  private func text(_ text: String) -> UnsafePointer<CChar>? {
    guard let copy = strdup(text) else { return nil }
    owned.append(copy)
    return UnsafePointer(copy)
  }

  private func array<Element>(_ elements: [Element]) -> UnsafeMutableBufferPointer<Element> {
    let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: max(elements.count, 1))
    _ = memory.initialize(from: elements)
    if let start = memory.baseAddress { owned.append(UnsafeMutableRawPointer(start)) }
    return UnsafeMutableBufferPointer(rebasing: memory[..<elements.count])
  }

  // MARK: After the call

  /// The tensors that the kernel wrote to, and what is wrong or worth saying about them.
  ///
  /// - Throws: `FileError`.
  func answer() throws -> (tensors: [(name: String, tensor: StoredTensor)], notes: [String: String]) {
    var notes: [String: String] = [:]
    for entry in inputs + cotangents + outputs + gradients {
      notes[KernelNote.problem + entry.name] = try entry.buffer.damage() ?? change(entry)
    }
    var tensors: [(name: String, tensor: StoredTensor)] = []
    for entry in outputs + gradients {
      let missing = untouched(entry)
      if let first = missing.first {
        let place = Comparator.coordinates(of: first, in: entry.shape)
        notes[KernelNote.remark + entry.name] =
          missing.count == entry.shape.reduce(1, *)
          ? "the kernel never wrote to it"
          : "\(missing.count) elements were never written, the first at \(place)"
        if missing.count == entry.shape.reduce(1, *) { continue }
      }
      tensors.append(
        (entry.name, try StoredTensor(scalarType: entry.type, shape: entry.shape, bytes: [UInt8](entry.buffer.bytes))))
    }
    return (tensors, notes)
  }

  /// A change of an input, in words; nil if there is none.
  private func change(_ entry: Entry) throws -> String? {
    try entry.given?.withContiguousBytes { given in
      given.indices.first { given[$0] != entry.buffer.bytes[$0] }.map { place in
        let coordinates = Comparator.coordinates(of: place / entry.type.byteWidth, in: entry.shape)
        return "the kernel changed it, although it is only to be read, first at \(coordinates)"
      }
    }
  }

  /// The elements of a result that hold what was there before the call.
  private func untouched(_ entry: Entry) -> [Int] {
    let (bytes, width) = (entry.buffer.bytes, entry.type.byteWidth)
    return (0..<bytes.count / width).filter { element in
      (0..<width).allSatisfy { bytes[element * width + $0] == GuardedBuffer.filling }
    }
  }
}
