// The tables of Scripts/reproduce; its figure, its article and what is kept of the measurements:
//
//     Miniature RESULTS.jsonl [CURVES.svg [ARTICLE.md KEPT.jsonl]]

import Foundation
import MiniatureReport

let arguments = Array(CommandLine.arguments.dropFirst())
guard [1, 2, 4].contains(arguments.count) else {
  FileHandle.standardError.write(Data("usage: Miniature RESULTS.jsonl [CURVES.svg [ARTICLE.md KEPT.jsonl]]\n".utf8))
  exit(64)
}
var path = arguments[0]
do {
  let measurements = try Measurement.lines(String(contentsOfFile: path, encoding: .utf8))
  let report = MiniatureReport(measurements)
  for (name, text) in report.tables { print("## \(name)\n\n\(text)\n") }
  if arguments.count > 2 {
    path = arguments[2]
    let article = try report.updating(String(contentsOfFile: path, encoding: .utf8))
    try article.write(toFile: path, atomically: true, encoding: .utf8)
    path = arguments[3]
    try measurements.lines().write(toFile: path, atomically: true, encoding: .utf8)
  }
  if arguments.count > 1 {
    path = arguments[1]
    try report.figure.write(to: path)
  }
} catch {
  FileHandle.standardError.write(Data("\(path): \(error)\n".utf8))
  exit(1)
}
