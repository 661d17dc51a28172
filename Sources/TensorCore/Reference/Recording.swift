// Recording: plain loops run directly, so there is nothing to record.

extension Reference: RecordingOps {
  /// None: every computation runs immediately.
  public static func makeRecorder(on device: HostDevice) -> Never? { nil }

  /// Cannot be called: there is no recorder.
  public static func record(with recorder: Never, _ work: () throws -> Void) rethrows -> Never {}

  /// Cannot be called: there is no recorded work.
  public static func perform(_ work: Never, on input: Tensor<Reference>, at place: Tensor<Reference>) {}
}
