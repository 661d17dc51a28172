// Finds a model's weights inside whatever its training script wrapped around them.
//
//   bare: name → tensor      {"mvar_wo_ddp": …}      {"trainer": {"vae_local": …, "mvar_wo_ddp": …, "…_opt": …}}
//
// It knows the usual wrapper names and the prefixes that PyTorch's own wrappers add to every name. It does not know any
// model: callers select the weights they want by naming a parameter that only those have.

import MVARFiles

extension Checkpoint {
  /// One set of weights in a checkpoint.
  public typealias Weights = (prefix: String, tensors: [(name: String, tensor: StoredTensor)])

  private static let wrappers: Set<String> = [
    "trainer", "mvar_wo_ddp", "var_wo_ddp", "vae_wo_ddp", "vae_local", "state_dict", "model_state_dict", "model",
    "ema", "module", "mvar", "var", "vae",
  ]
  /// Wrappers that may also appear as the first part of a flat name without being the model's own modules.
  private static let flatWrappers: Set<String> = [
    "trainer", "mvar_wo_ddp", "var_wo_ddp", "vae_wo_ddp", "vae_local", "state_dict", "model_state_dict",
  ]
  private static let prefixes = ["module.", "_orig_mod."]

  /// The only set of weights in the file, without wrappers and without prefixes such as `module.`.
  ///
  /// - Returns: `prefix`, the keys of the wrappers joined by periods (empty for a bare state dictionary), and the
  ///   tensors in file order with the model's own names.
  /// - Throws: `FileError` if the file holds no weights, or several sets of them.
  public func weights() throws -> Weights {
    let sets = weightSets()
    guard let only = sets.first else { throw FileError(path, "holds no weights; \(contents)") }
    guard sets.count == 1 else {
      let names = sets.map { "\"\(excerpt($0.prefix))\"" }.joined(separator: ", ")
      throw FileError(path, "holds several sets of weights (\(names)); one must be chosen")
    }
    return only
  }

  /// The set of weights that has a parameter of this name, for example `word_embed.weight`.
  ///
  /// - Parameter key: the parameter's name in the model, without wrappers.
  /// - Returns: as `weights()`.
  /// - Throws: `FileError` that lists what was found if no set fits, or more than one does.
  public func weights(containing key: String) throws -> Weights {
    let sets = weightSets()
    let fitting = sets.filter { $0.tensors.contains { $0.name == key } }
    guard let only = fitting.first else {
      throw FileError(path, "holds no weights with a parameter \"\(key)\"; \(contents)")
    }
    guard fitting.count == 1 else {
      let names = fitting.map { "\"\(excerpt($0.prefix))\"" }.joined(separator: ", ")
      throw FileError(path, "holds several sets of weights with a parameter \"\(key)\" (\(names))")
    }
    return only
  }

  /// All sets of weights, in file order; a bare state dictionary counts only if there is no wrapped one.
  private func weightSets() -> [Weights] {
    var order: [String] = []
    var sets: [String: [(name: String, tensor: StoredTensor)]] = [:]
    for (path, tensor) in zip(paths, tensors.map(\.tensor)) {
      guard let (prefix, name) = split(path) else { continue }
      if sets[prefix] == nil { order.append(prefix) }
      sets[prefix, default: []].append((name, tensor))
    }
    if order.count > 1 { order.removeAll { $0.isEmpty } }
    return order.map { ($0, Self.strippingCommonPrefixes(sets[$0] ?? [])) }
  }

  /// Wrappers and parameter name; nil for a tensor that belongs to something else, such as an optimizer's state.
  private func split(_ path: [String]) -> (prefix: String, name: String)? {
    if format == .torch || format == .torchLegacy {
      // One key per level: all but the last must be wrappers.
      guard let name = path.last, path.dropLast().allSatisfy(Self.wrappers.contains) else { return nil }
      return (path.dropLast().joined(separator: "."), name)
    }
    let parts = path.joined(separator: ".").split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let depth = parts.dropLast().prefix(while: Self.flatWrappers.contains).count
    // Nothing else in a trainer is a model's weights.
    if depth > 0, parts[depth - 1] == "trainer" { return nil }
    return (parts[..<depth].joined(separator: "."), parts[depth...].joined(separator: "."))
  }

  private static func strippingCommonPrefixes(
    _ tensors: [(name: String, tensor: StoredTensor)]
  ) -> [(name: String, tensor: StoredTensor)] {
    var tensors = tensors
    while let prefix = prefixes.first(where: { prefix in
      !tensors.isEmpty && tensors.allSatisfy { $0.name.hasPrefix(prefix) && $0.name.utf8.count > prefix.utf8.count }
    }) {
      tensors = tensors.map { (String($0.name.dropFirst(prefix.count)), $0.tensor) }
    }
    return tensors
  }

  /// What the file holds instead, for an error.
  private var contents: String {
    if tensors.isEmpty { return "it holds no tensors at all" }
    let names = tensors.prefix(5).map { "\"\(excerpt($0.name, limit: 80))\"" }.joined(separator: ", ")
    let more = tensors.count > 5 ? " and \(tensors.count - 5) more" : ""
    return "it holds \(names)\(more)"
  }
}
