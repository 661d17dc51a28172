// Finds a model's weights inside whatever its training script wrapped around them.
//
//   bare: name → tensor      {"model": …, "ema": …}      {"trainer": {"vae_local": …, "mvar_wo_ddp": …, "…_opt": …}}
//
// It knows no model: a caller names a parameter that only the wanted weights have, their mark. Every dictionary that has
// it holds a set of weights, and so do all names that begin like the mark's (`model.`, `module.`), for wrappers that put
// a prefix before every name. If there are several, the caller's `WeightsChoice` decides; nothing is guessed.

import MVARFiles

/// Which of the sets of weights in a file is meant.
public struct WeightsChoice: Hashable, Sendable {
  /// The set's name: the keys that lead to it, joined by periods, or the first or last of them; `.` for the top level,
  /// and where several sets would have the same name, the name with `#` and a number.
  public var name: String?
  /// The prefix that a wrapper put before the names of the parameters, with or without a period at its end.
  public var prefix: String?

  /// A choice; without one the file must hold a single set that fits.
  public init(name: String? = nil, prefix: String? = nil) {
    self.name = name
    self.prefix = prefix
  }
}

extension Checkpoint {
  /// One set of weights in a checkpoint.
  public struct Weights: Sendable {
    /// The keys and prefixes that lead to the set, joined by periods; empty for the top level. Where several sets would
    /// have the same name, or one that means the top level, a `#` and the set's number in the file follow.
    public let prefix: String
    /// The tensors in file order with the model's own names.
    public var tensors: [(name: String, tensor: StoredTensor)] = []
    /// What has a name in the set and is not read, for example a sparse tensor.
    public var skipped: [(name: String, object: SkippedObject)] = []
    /// What has a name in the set and is no tensor, in words: `a number`.
    package var others: [(name: String, kind: String)] = []
    /// The tensors' places in the file's list.
    package var indices: [Int] = []
    /// Where the set is.
    fileprivate let place: Place

    /// How the set is named in a sentence, and how it is chosen.
    public var title: String {
      let count = "\(tensors.count) tensor\(tensors.count == 1 ? "" : "s")"
      return prefix.isEmpty ? "\".\" (the top level, \(count))" : "\"\(excerpt(prefix))\" (\(count))"
    }
  }

  /// The dictionary that holds a set, and what precedes the parameters' names in its keys.
  fileprivate struct Place: Hashable {
    let keys: [ExactText]
    let prefix: ExactText

    /// The set's name, without the prefixes that PyTorch's own wrappers add to every name.
    var name: [String] {
      let parts = prefix.text.split(separator: ".").map(String.init)
      return keys.map(\.text) + parts.filter { !["module", "_orig_mod"].contains($0) }
    }
  }

  private static let wrappers: Set<String> = [
    "trainer", "mvar_wo_ddp", "var_wo_ddp", "vae_wo_ddp", "vae_local", "state_dict", "model_state_dict", "model",
    "ema", "module", "mvar", "var", "vae",
  ]
  /// Wrappers that may also appear as the first part of a flat name without being the model's own modules.
  private static let flatWrappers: Set<String> = [
    "trainer", "mvar_wo_ddp", "var_wo_ddp", "vae_wo_ddp", "vae_local", "state_dict", "model_state_dict",
  ]
  private static let commonPrefixes = ["module.", "_orig_mod."]
  /// More are not told apart.
  private static let mostSets = 64

  // MARK: Choosing

  /// The set of weights that has a parameter of this name, for example `word_embed.weight`.
  ///
  /// - Parameters:
  ///   - key: the parameter's name in the model, without wrappers.
  ///   - choice: which set, if there are several.
  /// - Throws: `FileError` that lists what was found if no set fits, or more than one does.
  public func weights(containing key: String, _ choice: WeightsChoice = WeightsChoice()) throws -> Weights {
    let sets = sets(containing: [key])
    guard !sets.isEmpty else {
      throw FileError(path, "holds no weights with a parameter \"\(key)\"; \(contents)")
    }
    return try choose(among: sets, choice, "with a parameter \"\(key)\"")
  }

  /// The only set of weights in the file: of those that have one of the marks, or else of all under the usual wrappers.
  ///
  /// - Parameters:
  ///   - choice: which set, if there are several.
  ///   - marks: parameters by which weights are known from other tensors.
  /// - Throws: `FileError` if the file holds no weights, or several sets of them.
  public func weights(_ choice: WeightsChoice = WeightsChoice(), marks: [String] = []) throws -> Weights {
    let marked = sets(containing: marks)
    if !marked.isEmpty { return try choose(among: marked, choice) }
    if choice != WeightsChoice() { return try choose(among: unmarkedSets(wrappersOnly: false), choice) }
    let sets = unmarkedSets(wrappersOnly: true)
    guard !sets.isEmpty else { throw FileError(path, "holds no weights; \(contents)") }
    return try choose(among: sets, choice)
  }

  private func choose(among sets: [Weights], _ choice: WeightsChoice, _ description: String = "") throws -> Weights {
    var fitting = sets
    let what = description.isEmpty ? "weights" : "weights \(description)"
    let choices = "it holds \(Self.list(sets))"
    if let name = choice.name {
      fitting = Self.named(name, sets)
      guard !fitting.isEmpty else {
        throw FileError(path, "holds no \(what) under the name \"\(excerpt(name))\"; \(choices)")
      }
    }
    if let prefix = choice.prefix {
      fitting = fitting.compactMap { strip(prefix, $0) }
      guard !fitting.isEmpty else {
        throw FileError(path, "holds no \(what) whose names begin with \"\(excerpt(prefix))\"; \(choices)")
      }
    }
    guard fitting.count == 1 else {
      throw FileError(
        path, "holds several sets of \(what): \(Self.list(fitting)); choose one with --weights NAME")
    }
    return fitting[0]
  }

  private static func list(_ sets: [Weights]) -> String {
    let shown = sets.prefix(8).map(\.title).joined(separator: ", ")
    return sets.count > 8 ? "\(shown) and \(sets.count - 8) more" : shown
  }

  /// The sets with a name; the first or last of its parts are enough where no set has exactly this name.
  private static func named(_ name: String, _ sets: [Weights]) -> [Weights] {
    let wanted = name == "." ? "" : name
    let exact = sets.filter { $0.prefix.isExactly(wanted) }
    if !exact.isEmpty || wanted.isEmpty { return exact }
    return sets.filter { $0.prefix.startsExactly(with: "\(wanted).") || $0.prefix.endsExactly(with: ".\(wanted)") }
  }

  /// A set whose names begin with a prefix, without it; nil for another set.
  private func strip(_ prefix: String, _ set: Weights) -> Weights? {
    let prefix = prefix.hasSuffix(".") ? prefix : "\(prefix)."
    // A set that was found by its mark has its names already without what precedes the mark.
    let parts = isTorch ? set.place.prefix.text : "\(set.prefix)."
    if set.place.prefix.text.startsExactly(with: prefix) || parts.isExactly(prefix) || parts.startsExactly(with: prefix)
      || parts.endsExactly(with: ".\(prefix)")
    {
      return set
    }
    var result = Weights(prefix: set.prefix, place: set.place)
    for (index, (name, tensor)) in zip(set.indices, set.tensors) where name.startsExactly(with: prefix) {
      result.tensors.append((Self.dropping(prefix, name), tensor))
      result.indices.append(index)
    }
    for (name, object) in set.skipped where name.startsExactly(with: prefix) {
      result.skipped.append((Self.dropping(prefix, name), object))
    }
    for (name, kind) in set.others where name.startsExactly(with: prefix) {
      result.others.append((Self.dropping(prefix, name), kind))
    }
    return result.tensors.isEmpty ? nil : result
  }

  // MARK: Finding

  /// All sets with a parameter of one of these names, in file order.
  public func sets(containing marks: [String]) -> [Weights] {
    var places: [Place] = []
    for path in paths {
      let (keys, name) = split(path)
      for mark in marks where name.isExactly(mark) || name.endsExactly(with: ".\(mark)") {
        let place = Place(
          keys: keys.map { ExactText($0) },
          prefix: ExactText(String(decoding: name.utf8.dropLast(mark.utf8.count), as: UTF8.self)))
        if !place.name.contains(where: Self.isState), !isState(flat: place), !places.contains(place) {
          places.append(place)
        }
        if places.count == Self.mostSets { return fill(places) }
      }
    }
    return fill(places)
  }

  /// All sets there are without knowing a parameter: every dictionary, or only those under the usual wrappers.
  private func unmarkedSets(wrappersOnly: Bool) -> [Weights] {
    var places: [Place] = []
    var known: Set<Place> = []
    for path in paths {
      var (keys, name) = split(path)
      var prefix = ""
      if !isTorch {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        let depth = parts.dropLast().prefix(while: Self.flatWrappers.contains).count
        // Nothing else in a trainer is a model's weights.
        if depth > 0, parts[depth - 1] == "trainer" { continue }
        prefix = parts[..<depth].map { "\($0)." }.joined()
        keys = []
        name = parts[depth...].joined(separator: ".")
      } else if wrappersOnly, !keys.allSatisfy(Self.wrappers.contains) {
        continue
      }
      let place = Place(keys: keys.map { ExactText($0) }, prefix: ExactText(prefix))
      if known.insert(place).inserted { places.append(place) }
    }
    // A bare state dictionary counts only if there is no wrapped one.
    if wrappersOnly, places.count > 1 { places.removeAll { $0.keys.isEmpty && $0.prefix.text.isEmpty } }
    return fill(places).map(Self.strippingCommonPrefixes)
  }

  /// The tensors of each set: those whose names begin with its prefix and with no longer one of another set.
  private func fill(_ places: [Place]) -> [Weights] {
    let names = Self.names(places)
    var sets = places.indices.map { Weights(prefix: names[$0], place: places[$0]) }
    // The longest prefix decides.
    let order = places.indices.sorted { places[$0].prefix.text.utf8.count > places[$1].prefix.text.utf8.count }
    let byKeys = Dictionary(grouping: order) { places[$0].keys }
    func place(_ path: [String]) -> (set: Int, name: String)? {
      let (keys, name) = split(path)
      let found = byKeys[keys.map { ExactText($0) }]?.first { name.startsExactly(with: places[$0].prefix.text) }
      guard let found else { return nil }
      let prefix = places[found].prefix.text
      // What a training stores beside the weights, flattened into names.
      if !isTorch, prefix.isEmpty, name.startsExactly(with: "trainer.") { return nil }
      return (found, Self.dropping(prefix, name))
    }
    for (index, path) in paths.enumerated() {
      guard let (set, name) = place(path) else { continue }
      sets[set].tensors.append((name, tensors[index].tensor))
      sets[set].indices.append(index)
    }
    for (path, object) in zip(skippedPaths, skipped.map(\.object)) where !path.isEmpty {
      if let (set, name) = place(path) { sets[set].skipped.append((name, object)) }
    }
    for (path, kind) in others {
      if let (set, name) = place(path) { sets[set].others.append((name, kind)) }
    }
    return sets
  }

  /// The names of sets, each different from the others.
  private static func names(_ places: [Place]) -> [String] {
    let plain = places.map { $0.name.joined(separator: ".") }
    let counts = Dictionary(plain.map { (ExactText($0), 1) }, uniquingKeysWith: +)
    return places.indices.map { index in
      let name = plain[index]
      let isTop = places[index].name.isEmpty
      let isClear = isTop || counts[ExactText(name)] == 1 && !name.isEmpty && name != "."
      return isClear ? name : "\(name)#\(index + 1)"
    }
  }

  private var isTorch: Bool { format == .torch || format == .torchLegacy }

  /// The dictionary that a tensor is in and its name there; a flat file is one dictionary.
  private func split(_ path: [String]) -> (keys: [String], name: String) {
    isTorch ? (Array(path.dropLast()), path.last ?? "") : ([], path.joined(separator: "."))
  }

  /// Whether a key is that of an optimizer, whose moments have the names of the parameters.
  private static func isState(_ key: String) -> Bool {
    let key = key.lowercased()
    return key == "opt" || key.hasSuffix("_opt") || key.contains("optim") || key.hasPrefix("exp_avg")
      || key == "max_exp_avg_sq" || key == "momentum_buffer" || key == "grad" || key == "grads"
  }

  /// Whether a prefix in a flat file belongs to the state of a training and not to a model.
  private func isState(flat place: Place) -> Bool {
    let parts = place.prefix.text.split(separator: ".").map(String.init)
    return !isTorch && parts.first == "trainer" && !Self.flatWrappers.contains(parts.dropFirst().first ?? "")
  }

  private static func strippingCommonPrefixes(_ set: Weights) -> Weights {
    var set = set
    while let prefix = commonPrefixes.first(where: { prefix in
      !set.tensors.isEmpty
        && set.tensors.allSatisfy {
          $0.name.startsExactly(with: prefix) && $0.name.utf8.count > prefix.utf8.count
        }
    }) {
      set.tensors = set.tensors.map { (dropping(prefix, $0.name), $0.tensor) }
      set.skipped = set.skipped.map {
        ($0.name.startsExactly(with: prefix) ? dropping(prefix, $0.name) : $0.name, $0.object)
      }
      set.others = set.others.map {
        ($0.name.startsExactly(with: prefix) ? dropping(prefix, $0.name) : $0.name, $0.kind)
      }
    }
    return set
  }

  /// A name without the prefix that it begins with.
  private static func dropping(_ prefix: String, _ name: String) -> String {
    String(decoding: name.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }

  /// What the file holds instead, for an error.
  private var contents: String {
    let objects = skipped.prefix(3).map { name, object in
      (name.isEmpty ? "the whole" : "\"\(excerpt(name, limit: 80))\"") + " is \(object.reason)"
    }
    let more = skipped.isEmpty ? "" : "; " + objects.joined(separator: ", ")
    if tensors.isEmpty { return "it holds no tensors at all\(more)" }
    let names = tensors.prefix(5).map { "\"\(excerpt($0.name, limit: 80))\"" }.joined(separator: ", ")
    return "it holds \(names)\(tensors.count > 5 ? " and \(tensors.count - 5) more" : "")\(more)"
  }
}
