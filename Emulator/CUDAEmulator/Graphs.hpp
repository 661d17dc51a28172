// Streams, and the capture of their work: while a stream is captured, its work is stored instead of executed, and a
// graph executes it later, each time it is launched.

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
  /// Whether a rule was broken meanwhile, which makes the capture fail.
  bool isInvalid = false;
  /// CUstreamCaptureMode, and the thread that began the capture.
  int mode = 0;
  std::thread::id thread;
  /// The work submitted since.
  std::vector<Work> work;
};

/// Executes work of a stream, or stores it if the stream is being captured.
int perform(void *stream, Work work);

/// Whether a stream is being captured.
bool isCaptured(void *stream);

/// Refuses an operation that is not possible on a captured stream or, for null, one that is not allowed while any
/// stream is captured; the captures concerned become invalid.
int refuseWhileCaptured(void *stream, const char *what);

/// Refuses an operation that a capture forbids for its thread, or for all threads, unless its mode is relaxed; the
/// capture becomes invalid.
int refuseUnsafe(const char *what);

/// Discards the capture of a stream that is about to be destroyed.
void forgetCapture(Stream *stream);

}  // namespace cudaemu
