// The registry itself: nothing is missing or duplicated, its statements about a case are true, and it reports an engine
// that computes something wrong.

import Foundation
import MVARComparison
import MVARTestSupport
import OperatorCases
import TensorCore
import Testing

@Suite struct RegistryTests {
  private static let timed =
    (OperatorCases.timed(.small) + OperatorCases.timed(.d16) + OperatorCases.timedOnProcessors).map(\.operatorCase)

  @Test func namesAreUnique() {
    for names in [
      OperatorCases.all.map(\.name), OperatorCases.timed(.d16).map(\.operatorCase.name),
      OperatorCases.timedOnProcessors.map(\.operatorCase.name),
    ] {
      let twice = Dictionary(grouping: names) { $0 }.filter { $0.value.count > 1 }.keys
      #expect(twice.isEmpty && !names.isEmpty, "\(twice)")
      #expect(names.allSatisfy { !$0.isEmpty && $0 == $0.trimmingCharacters(in: .whitespaces) })
    }
  }

  /// A forgotten operator fails here: the cases are run on an engine that records which operators were called.
  @Test func everyFunctionOfTheContractIsCalled() throws {
    let device = ForwardingDevice()
    for operatorCase in OperatorCases.all { _ = try operatorCase.run(on: Forwarding.self, device: device) }
    // An engine without a recorder is never asked to record.
    let missing = try Self.contract().subtracting(device.calls).subtracting(["record", "perform"])
    #expect(missing.isEmpty, "\(missing.sorted())")
  }

  /// The functions that the protocols in `Sources/TensorCore/Backend` require, without labels.
  private static func contract() throws -> Set<String> {
    let folder = Fixtures.root.deletingLastPathComponent().appending(path: "Sources/TensorCore/Backend")
    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    var functions: Set<String> = []
    // Pooling is a contract of its own, for the network of metrics only, with tests of its own.
    for file in files where file.pathExtension == "swift" && file.lastPathComponent != "PoolingOps.swift" {
      for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
        // A requirement is indented once and is neither public nor package.
        guard line.hasPrefix("  static func ") else { continue }
        functions.insert(String(line.dropFirst("  static func ".count).prefix { $0 != "(" }))
      }
    }
    #expect(functions.count > 60 && functions.isSuperset(of: ["linear", "dLinear", "makeStorage", "perform"]))
    return functions
  }

  @Test func everyCaseSaysWhatItIs() throws {
    for operatorCase in OperatorCases.all + Self.timed {
      #expect(operatorCase.inputNames.count == operatorCase.inputs.count, "\(operatorCase)")
      #expect(Set(operatorCase.inputNames).count == operatorCase.inputNames.count, "\(operatorCase)")
      let names = operatorCase.attributes.map(\.name)
      #expect(Set(names).count == names.count, "\(operatorCase)")
      let cost = operatorCase.cost
      #expect(cost.forward.bytes >= 0 && cost.forward.operations >= 0 && cost.backward?.bytes ?? 0 >= 0)
    }
    let windowed = try #require(OperatorCases.all.first { $0.operatorName == "neighborhoodAttention" })
    #expect(windowed.attributes.map(\.description) == ["window: 1", "softmaxScale: 0.35"])
  }

  @Test("Costs count what is read and written", arguments: OperatorCases.all)
  func costs(operatorCase: any OperatorCase) throws {
    // A slice and a look-up touch part of their input only, and the others do not compute.
    if ["slice", "embedding"].contains(operatorCase.operatorName) || operatorCase.isComposite { return }
    let expectation = try operatorCase.expectation()
    let (cost, inputs) = (operatorCase.cost, operatorCase.inputs.reduce(0) { $0 + $1.shape.count })
    let integers = operatorCase.indices.reduce(0) { $0 + $1.shape.count }
    #expect(cost.forward.bytesRead == 4 * Double(inputs + integers))
    #expect((cost.backward != nil) == !expectation.gradients.isEmpty)
    let outputs = expectation.outputs.reduce(0) { $0 + $1.values.shape.count }
    // Losses and sums save something for the backward; norms of tensors are counted once.
    if !["crossEntropy", "sumOfSquares"].contains(operatorCase.operatorName) {
      #expect(cost.forward.bytesWritten == 4 * Double(outputs))
    }
  }

  @Test func costsOfProducts() throws {
    let linear = try #require(OperatorCases.timedOnProcessors.first { $0.operatorCase.name == "linear-512" })
    #expect(linear.operatorCase.cost.forward.operations == 2 * 512 * 1024 * 4096)
    #expect(linear.operatorCase.cost.backward?.operations == Double(4 * 512 * 1024 * 4096))
    let window = try #require(OperatorCases.timedOnProcessors.first { $0.operatorCase.name == "window-64" })
    #expect(window.operatorCase.cost.forward.operations == 2 * 2 * 64 * 64 * 49 * 1024)
    #expect(window.operatorCase.cost.backward?.operations == Double(5 * 2 * 64 * 64 * 49 * 1024))
    let convolution = OperatorCases.timedOnProcessors.first { $0.operatorCase.name == "convolution-160-128" }
    #expect(convolution?.operatorCase.cost.forward.operations == Double(2 * 9 * 160 * 160 * 128 * 128))
  }

  @Test("Small timed cases are right on the processor", arguments: OperatorCases.timed(.small).map(\.operatorCase))
  func timedCases(operatorCase: any OperatorCase) throws {
    try operatorCase.check(on: CPU<Float>.self, device: HostDevice())
  }

  // MARK: Faulty engines

  @Test func aRightEngineHasNoFindings() throws {
    let device = ForwardingDevice()
    for operatorCase in OperatorCases.all {
      try operatorCase.check(on: Forwarding.self, device: device)
    }
  }

  /// Names the tensor, the index, both values, and the tolerance with its reason.
  @Test(
    "A planted fault is found and named",
    arguments: [
      ("dSilu", 0, "silu", "gradient of x"), ("dLinear", 1, "linear", "gradient of weight"),
      ("dNeighborhoodAttention", 2, "neighborhoodAttention", "gradient of values"),
      ("softmax", 0, "softmax", "output"), ("splitHeads", 1, "splitHeads", "keys"),
      ("adamW", 2, "adamW", "secondMoment"),
    ])
  func plantedFaults(function: String, part: Int, operatorName: String, tensor: String) throws {
    for kind in [PlantedFault.Kind.negated, .notANumber, .infinite, .zero, .slightlyOff] {
      let device = ForwardingDevice(fault: PlantedFault(function: function, part: part, kind: kind))
      let cases = OperatorCases.all.filter { $0.operatorName == operatorName }
      let findings = try cases.flatMap { try $0.findings(on: Forwarding.self, device: device) }
      #expect(findings.contains { $0.name.hasSuffix(", \(tensor)") }, "\(kind)")
      for finding in findings {
        let bar = try #require(finding.bar)
        #expect(finding.share > 1 && !finding.coordinates.isEmpty && finding.absolute > bar.absolute)
        #expect(bar.reason.hasPrefix("four times the error of plain loops"))
        #expect(finding.description.contains(": at \(finding.coordinates): \(finding.found), expected"))
        #expect((finding.notFinite != nil) == !finding.found.isFinite, "\(finding)")
      }
      #expect(throws: OperatorMismatch.self) {
        for operatorCase in cases { try operatorCase.check(on: Forwarding.self, device: device) }
      }
    }
  }

  @Test func whatIsNotFiniteNeverPasses() {
    func compare(_ found: [Double], _ expected: [Double], bar: Bar = Bar(absolute: 1e300, "anything")) -> Comparison {
      Comparator.values(
        "x", found: Values(found, shape: [found.count]), expected: Values(expected, shape: [expected.count]),
        bar: bar)
    }
    #expect(compare([1, 2], [3, 4]).passes)
    #expect(!compare([1, .nan], [3, 4]).passes && !compare([1, 2], [.nan, 4]).passes)
    #expect(!compare([.nan], [.nan]).passes && !compare([.infinity], [-.infinity]).passes)
    #expect(!compare([.infinity], [1]).passes && !compare([1], [.infinity]).passes)
    #expect(compare([.infinity, 1], [.infinity, 1], bar: .exact("the same")).passes)
    #expect(!compare([1], [1, 2]).passes && compare([1], [1, 2]).cause == "shape [1], expected [2]")
    let finding = Comparator.values(
      "x", found: Values([1, 2, 3, 4.5], shape: [2, 2]), expected: Values([1, 2, 3, 4], shape: [2, 2]),
      bar: Bar(absolute: 0.25, "a quarter"))
    #expect(
      finding.coordinates == [1, 1] && finding.absolute == 0.5 && finding.relative == 0.125 && finding.share == 2)
    let notFinite = compare([1, .nan, 3], [1, 2, .infinity])
    #expect(notFinite.worst == "at [1]: nan, expected 2.0: the value found is not finite, 2 of 3 not finite")
    #expect(notFinite.coordinates == [1])
  }

  @Test func missingGradients() throws {
    let silu = try #require(OperatorCases.all.first { $0.operatorName == "silu" })
    let results = try silu.run(on: CPU<Float>.self, device: HostDevice())
    let without = OperatorResults(outputs: results.outputs, gradients: [])
    let findings = silu.compare(without, with: try silu.expectation()).filter { !$0.passes }
    #expect(findings.count == 1 && findings[0].name.hasSuffix("numbers of outputs and gradients"))
  }
}
