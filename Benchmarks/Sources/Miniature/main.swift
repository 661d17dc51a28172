// The tables of Scripts/reproduce:
//
//     Miniature RESULTS.jsonl [CURVES.svg]

import Foundation
import MiniatureReport

let arguments = Array(CommandLine.arguments.dropFirst())
guard (1...2).contains(arguments.count) else {
  FileHandle.standardError.write(Data("usage: Miniature RESULTS.jsonl [CURVES.svg]\n".utf8))
  exit(64)
}
do {
  let report = MiniatureReport(try Measurement.lines(String(contentsOfFile: arguments[0], encoding: .utf8)))
  for (title, text) in report.tables { print("## \(title)\n\n\(text)\n") }
  if arguments.count == 2 { try report.figure.write(to: arguments[1]) }
} catch {
  FileHandle.standardError.write(Data("\(arguments[0]): \(error)\n".utf8))
  exit(1)
}
