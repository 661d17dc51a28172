// One element of an SVG document and its text form, indented by two spaces per level.
//
// Attributes and texts are escaped only here, so that no external text can end an element early. Only what the plots
// need: no style sheets, no scripts, no links.

/// An element with attributes, and with either text or further elements inside.
struct SVGElement {
  let name: String
  var attributes: [(name: String, value: String)]
  var text: String?
  var children: [SVGElement]

  init(
    _ name: String, _ attributes: [(name: String, value: String)] = [], text: String? = nil, children: [SVGElement] = []
  ) {
    self.name = name
    self.attributes = attributes
    self.text = text
    self.children = children
  }

  /// Appends the element's lines.
  func write(into document: inout String, level: Int = 0) {
    let indentation = String(repeating: "  ", count: level)
    document += "\(indentation)<\(name)"
    for (name, value) in attributes { document += " \(name)=\"\(XMLText.escaped(value))\"" }
    if children.isEmpty {
      document += text.map { ">\(XMLText.escaped($0))</\(name)>\n" } ?? "/>\n"
      return
    }
    document += ">\n"
    for child in children { child.write(into: &document, level: level + 1) }
    document += "\(indentation)</\(name)>\n"
  }
}
