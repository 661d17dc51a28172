// Reads SVG back as the tree of elements that an XML parser finds, so that tests see what a browser sees: unescaped
// texts, and an error if the document is not well-formed.

import Foundation

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// One element of an XML document.
package final class XMLNode {
  package let name: String
  package let attributes: [String: String]
  package fileprivate(set) var text = ""
  package fileprivate(set) var children: [XMLNode] = []

  fileprivate init(_ name: String, _ attributes: [String: String]) {
    self.name = name
    self.attributes = attributes
  }

  /// Why a document could not be read.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// The root element of a document.
  ///
  /// - Throws: `Failure` with the line when it is not well-formed.
  package static func parse(_ document: String) throws -> XMLNode {
    let reader = Reader()
    let parser = XMLParser(data: Data(document.utf8))
    parser.delegate = reader
    guard parser.parse(), let root = reader.root else {
      throw Failure(
        description: "line \(parser.lineNumber): \(parser.parserError.map { "\($0)" } ?? "no root element")")
    }
    return root
  }

  /// The root element of a file.
  package static func load(_ path: String) throws -> XMLNode {
    try parse(String(contentsOfFile: path, encoding: .utf8))
  }

  /// All elements with a name, including this one and its descendants, in document order.
  package func all(_ name: String) -> [XMLNode] {
    (self.name == name ? [self] : []) + children.flatMap { $0.all(name) }
  }

  /// The contents of all `text` elements, in document order.
  package var texts: [String] { all("text").map(\.text) }

  /// The numbers of an attribute such as `points`; empty without it.
  package func numbers(_ attribute: String) -> [Double] {
    (attributes[attribute] ?? "").split { $0 == " " || $0 == "," }.compactMap { Double($0) }
  }

  /// The bytes of an embedded image, if the element is one.
  package var embeddedPNG: [UInt8]? {
    let prefix = "data:image/png;base64,"
    guard let address = attributes["href"], address.hasPrefix(prefix) else { return nil }
    return Data(base64Encoded: String(address.dropFirst(prefix.count))).map { Array($0) }
  }
}

private final class Reader: NSObject, XMLParserDelegate {
  var root: XMLNode?
  private var open: [XMLNode] = []

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    let node = XMLNode(name, attributes)
    open.last?.children.append(node)
    if root == nil { root = node }
    open.append(node)
  }

  func parser(_ parser: XMLParser, foundCharacters text: String) { open.last?.text += text }

  func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
    open.removeLast()
  }
}
