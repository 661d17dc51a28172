// The tables of Scripts/reproduce: prints them, or writes them into the article.
//
//     Miniature RESULTS.jsonl      prints the tables
//     Miniature --write            writes the article's from Benchmarks/Results/miniature.jsonl

import Foundation
import MiniatureReport

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count == 1 else {
  FileHandle.standardError.write(Data("usage: Miniature RESULTS.jsonl | --write\n".utf8))
  exit(64)
}
let package = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardized
let isWriting = arguments[0] == "--write"
let source = isWriting ? package.appending(path: "Benchmarks/Results/miniature.jsonl") : URL(filePath: arguments[0])
do {
  let article = MiniatureArticle(try Measurement.lines(String(contentsOf: source, encoding: .utf8)))
  if isWriting {
    let catalog = package.appending(path: "Sources/MVAR/MVAR.docc")
    let page = catalog.appending(path: "Miniature.md")
    let text = try article.written(into: String(contentsOf: page, encoding: .utf8))
    try Data(text.utf8).write(to: page, options: .atomic)
    try Data(article.figure.svg().utf8).write(to: catalog.appending(path: "miniature.svg"), options: .atomic)
  } else {
    for (name, text) in article.parts { print("## \(name)\n\n\(text)\n") }
  }
} catch {
  FileHandle.standardError.write(Data("\(source.lastPathComponent): \(error)\n".utf8))
  exit(1)
}
