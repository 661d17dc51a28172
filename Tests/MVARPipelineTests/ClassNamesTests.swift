// Classes by number and name: synonyms, case, and what is refused with which sentence.

import MVARPipeline
import Testing

@Suite("class names")
struct ClassNamesTests {
  private let classes = ClassNames(["tench, Tinca tinca", "gold_fish", "crane", "crane"], count: 4)

  @Test(arguments: [("0", 0), ("3", 3), ("Tench", 0), (" tinca tinca ", 0), ("gold fish", 1), ("GOLD_FISH", 1)])
  func finds(text: String, label: Int) throws {
    #expect(try classes.label(text) == label)
  }

  @Test(arguments: [
    ("4", "class 4: this model has the classes 0 … 3"), ("-1", "class -1: this model has the classes 0 … 3"),
    ("crane", "class crane: the model has several classes of this name ([2, 3]); use a number"),
    (
      "cat",
      "class cat: the model has no class of this name; it has tench, Tinca tinca, gold_fish, crane, crane"
    ),
  ])
  func refuses(text: String, sentence: String) {
    #expect(throws: PipelineError.self) { try classes.label(text) }
    do { _ = try classes.label(text) } catch { #expect(error.description == sentence) }
  }

  @Test func aModelWithoutNames() {
    let classes = ClassNames(nil, count: 10)
    #expect(classes[3] == nil)
    do {
      _ = try classes.label("cat")
      Issue.record("a name was found among none")
    } catch {
      #expect(error.description == "class cat: is not a number from 0 to 9, and there are no names of classes")
    }
  }
}
