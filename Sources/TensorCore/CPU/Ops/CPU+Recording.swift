// Recording: a call of an operator costs next to nothing beside its work, so there is nothing to write down.

extension CPU: RecordingOps {
  /// None: every computation is done at once.
  public static func makeRecorder(on device: HostDevice) -> Never? { nil }

  /// Cannot be called: there is no recorder.
  public static func record(with recorder: Never, _ work: () throws -> Void) rethrows -> Never {}

  /// Cannot be called: there is no recorded work.
  public static func perform(_ work: Never, on input: Tensor<CPU>, at place: Tensor<CPU>) {}
}
