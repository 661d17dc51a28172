// The program `mvar-fuzz`. Built with libFuzzer (`Scripts/fuzz`, which defines FUZZING) it is a fuzzer of the reader that
// the environment variable MVAR_FUZZ_TARGET names. Built plainly it reads the files it is given once:
//
//     mvar-fuzz                     lists the readers
//     mvar-fuzz TARGET FILE…        reads files as that reader's inputs, for example those that ended a fuzzer

import Foundation
import MVARFiles

#if FUZZING
  private let chosen: FuzzTarget = {
    let name = ProcessInfo.processInfo.environment["MVAR_FUZZ_TARGET"] ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
      FileHandle.standardError.write(Data("mvar-fuzz: MVAR_FUZZ_TARGET is \"\(name)\", which is no reader\n".utf8))
      exit(64)
    }
    return target
  }()

  /// What libFuzzer calls with every input.
  @_cdecl("LLVMFuzzerTestOneInput")
  public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    chosen.read(UnsafeRawBufferPointer(start: bytes, count: count))
    return 0
  }
#else
  @main
  struct Fuzzing {
    static func main() throws {
      let arguments = CommandLine.arguments.dropFirst()
      guard let name = arguments.first else {
        for target in FuzzTarget.allCases { print(target.rawValue) }
        return
      }
      guard let target = FuzzTarget(rawValue: name) else {
        FileHandle.standardError.write(Data("mvar-fuzz: there is no reader \(name)\n".utf8))
        exit(64)
      }
      for path in arguments.dropFirst() {
        try RegularFile.contents(of: path).withUnsafeBytes { target.read($0) }
      }
      print("\(name): \(arguments.count - 1) files read")
    }
  }
#endif
