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

  @Test(
    "lists, ranges, all and null",
    arguments: [
      ("all", [0, 1, 2, 3]), ("null", [4]), ("1-3", [1, 2, 3]), ("2-2", [2]), ("0,3", [0, 3]), ("3,0,0", [3, 0, 0]),
      (" 1 , 2-3 ,null", [1, 2, 3, 4]), ("#1-#2,=gold fish", [1, 2, 1]), ("all,null", [0, 1, 2, 3, 4]),
      ("tench, Tinca tinca", [0]), ("Tinca tinca,goldfish-like", [0, 2]), ("goldfish-like", [2]),
      ("gold fish,tench", [1, 0]),
    ])
  func lists(text: String, labels: [Int]) throws {
    let classes = ClassNames(["tench, Tinca tinca", "gold_fish", "goldfish-like", "crane"], count: 4)
    #expect(try classes.labels(text) == labels)
  }

  @Test("a class that is called like a list comes first")
  func namesThatAreLists() throws {
    let classes = ClassNames(["all", "null", "0-1", "0,1", "a"], count: 5)
    #expect(try classes.labels("all") == [0] && classes.labels("null") == [1])
    #expect(try classes.labels("0-1") == [2] && classes.labels("0,1") == [3])
    #expect(try classes.labels("#0-#1") == [0, 1] && classes.labels("0, 1") == [0, 1])
  }

  @Test(arguments: [
    ("", "class : is empty; name a class"), (" ", "class  : is empty; name a class"),
    ("0,,1", "class 0,,1: names no class between two commas or at an end"),
    ("0,", "class 0,: names no class between two commas or at an end"),
    ("3-0", "class 3-0: runs backward; write 0-3"), ("2-4", "class 2-4: this model has the classes 0 … 3"),
    ("0-99999999999999999999", "class 0-99999999999999999999: this model has the classes 0 … 3"),
    ("0,4", "class 4: this model has the classes 0 … 3"),
    ("crane,0", "class crane: the model has several classes of this name ([2, 3]); use a number"),
  ])
  func refusesLists(text: String, sentence: String) {
    #expect(throws: PipelineError.self) { try classes.labels(text) }
    do { _ = try classes.labels(text) } catch { #expect(error.description == sentence) }
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
