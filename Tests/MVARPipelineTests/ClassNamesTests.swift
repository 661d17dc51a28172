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

  @Test(
    "a name that is a class's byte for byte is that class's",
    arguments: [
      ("\u{e9}", 0), ("e\u{301}", 1), ("A", 2), ("a", 3), ("a,b", 4), ("b", 4), ("#2", 2), ("=a", 3),
      ("=E\u{301}", nil),
    ])
  func exact(text: String, label: Int?) {
    let classes = ClassNames(["\u{e9}", "e\u{301}", "A", "a", "a,b"], count: 5)
    #expect((try? classes.label(text)) == label)
  }

  @Test func namesThatAreNumbers() throws {
    let classes = ClassNames(["0", "1", "10", "2"], count: 4)
    #expect(try classes.label("0") == 0 && classes.label("1") == 1 && classes.label("10") == 2)
    #expect(try classes.label("#2") == 2 && classes.label("=2") == 3 && classes.label("3") == 3)
    do {
      _ = try classes.label("2")
      Issue.record("a number and a name were taken for one another")
    } catch {
      #expect(
        error.description == "class 2: is the number of one class and the name of another: write #2 or =2")
    }
    #expect(throws: PipelineError.self) { try ClassNames(["a"], count: 2).label("a") }
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
