// Recording: calling an operator costs next to nothing compared with its work, so there is nothing to record.

extension CPU: RecordingOps {
  /// None: every computation runs immediately.
  public static func makeRecorder(on device: HostDevice) -> Never? { nil }

  /// Cannot be called: there is no recorder.
  public static func record(with recorder: Never, _ work: () throws -> Void) rethrows -> Never {}

  /// Cannot be called: there is no recorded work.
  public static func perform(_ work: Never, on input: Tensor<CPU>, at place: Tensor<CPU>) {}
}
