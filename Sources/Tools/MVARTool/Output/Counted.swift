// Numbers with the words that they count.

/// `1 image` or `7 images`.
///
/// - Parameters:
///   - one: the words after 1.
///   - several: the words after every other number.
func counted(_ count: Int, _ one: String, _ several: String) -> String { "\(count) \(count == 1 ? one : several)" }
