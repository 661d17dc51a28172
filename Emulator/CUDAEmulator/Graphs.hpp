// Streams, and the capture of their work: while a stream is captured, what it is given is kept instead of done, and a
// graph does it later, as often as it is launched.

#pragma once
#include <functional>
#include <thread>
#include <vector>

namespace cudaemu {

/// A piece of a stream's work with everything it needs; it returns an error code, 0 for success.
using Work = std::function<int()>;

/// A stream.
struct Stream {
  bool isCaptured = false;
  /// Whether a rule was broken meanwhile, so that nothing comes of the capture.
  bool isInvalid = false;
  /// CUstreamCaptureMode, and who began.
  int mode = 0;
  std::thread::id thread;
  /// What was given to it since.
  std::vector<Work> work;
};

/// Does work of a stream, or keeps it where the stream is captured.
int perform(void *stream, Work work);

/// Whether a stream is captured.
bool isCaptured(void *stream);

/// Refuses what a captured stream cannot do, or, for null, what nothing may do while any stream is captured; the
/// captures concerned are lost.
int refuseWhileCaptured(void *stream, const char *what);

/// Refuses what a capture forbids its thread, or all threads, unless its mode is the relaxed one; the capture is lost.
int refuseUnsafe(const char *what);

/// Forgets the capture of a stream that is about to go.
void forgetCapture(Stream *stream);

}  // namespace cudaemu
