// The functions of the driver that capture a stream's work as a graph and launch it, with the driver's own signatures,
// rules and error codes.
//
// A captured launch keeps a copy of its arguments; the memory that they point to is accessed when the graph is
// launched, as on a device. So a graph fails if its memory has been freed by then, and overwrites memory that has been
// reallocated by then.

#include "Graphs.hpp"

#include <memory>
#include <mutex>
#include <utility>

#include "CUDAEmulator.h"
#include "DriverState.hpp"

using namespace cudaemu;

namespace {

/// CUstreamCaptureMode.
enum Mode : int { global = 0, threadLocal = 1, relaxed = 2 };

/// The streams being captured.
std::mutex captureLock;
std::vector<Stream *> &captured = *new std::vector<Stream *>;

/// The work of a graph. An executable graph shares it with the graph that it was instantiated from; nothing can change
/// it.
using Graph = std::shared_ptr<const std::vector<Work>>;

Handles &graphs = *new Handles;
Handles &executables = *new Handles;

/// Removes a stream from those being captured; the lock must be held.
void remove(Stream *stream) { std::erase(captured, stream); }

int destroy(Handles &handles, void *graph) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!handles.remove(graph)) return explain(invalidValue, "no such graph");
  delete static_cast<Graph *>(graph);
  return success;
}

}  // namespace

int cudaemu::perform(void *stream, Work work) {
  {
    std::lock_guard<std::mutex> guard(captureLock);
    Stream *const own = static_cast<Stream *>(stream);
    if (own && own->isCaptured) {
      if (own->isInvalid) return explain(captureInvalidated, "the capture of the stream was lost before");
      own->work.push_back(std::move(work));
      return success;
    }
  }
  return work();
}

bool cudaemu::isCaptured(void *stream) {
  std::lock_guard<std::mutex> guard(captureLock);
  return stream && static_cast<Stream *>(stream)->isCaptured;
}

int cudaemu::refuseWhileCaptured(void *stream, const char *what) {
  std::lock_guard<std::mutex> guard(captureLock);
  bool isRefused = false;
  for (Stream *other : captured) {
    if (stream && other != stream) continue;
    other->isInvalid = true;
    isRefused = true;
  }
  return isRefused ? explain(captureUnsupported, std::string(what) + " while a stream is captured") : success;
}

int cudaemu::refuseUnsafe(const char *what) {
  std::lock_guard<std::mutex> guard(captureLock);
  bool isRefused = false;
  for (Stream *stream : captured) {
    if (stream->mode == relaxed) continue;
    if (stream->mode == threadLocal && stream->thread != std::this_thread::get_id()) continue;
    stream->isInvalid = true;
    isRefused = true;
  }
  return isRefused ? explain(captureUnsupported, std::string(what) + " while a stream is captured") : success;
}

void cudaemu::forgetCapture(Stream *stream) {
  std::lock_guard<std::mutex> guard(captureLock);
  remove(stream);
}

extern "C" {

static int cuStreamBeginCapture_v2(void *stream, int mode) {
  RETURN_IF_FAILED(ready(stream));
  if (!stream) return explain(captureUnsupported, "the default stream cannot be captured");
  if (mode < global || mode > relaxed) return explain(invalidValue, "no such mode of capture");
  std::lock_guard<std::mutex> guard(captureLock);
  Stream *const own = static_cast<Stream *>(stream);
  if (own->isCaptured) return explain(illegalState, "the stream is captured already");
  own->isCaptured = true;
  own->mode = mode;
  own->thread = std::this_thread::get_id();
  captured.push_back(own);
  return success;
}

static int cuStreamEndCapture(void *stream, void **graph) {
  RETURN_IF_FAILED(ready(stream));
  if (!graph) return invalidValue;
  *graph = nullptr;
  std::lock_guard<std::mutex> guard(captureLock);
  Stream *const own = static_cast<Stream *>(stream);
  if (!own || !own->isCaptured) return explain(illegalState, "the stream is not captured");
  if (own->mode != relaxed && own->thread != std::this_thread::get_id()) {
    return explain(captureWrongThread, "another thread began the capture");
  }
  remove(own);
  const Stream ended = std::exchange(*own, {});
  if (ended.isInvalid) return explain(captureInvalidated, "the capture of the stream was lost before");
  *graph = new Graph(std::make_shared<const std::vector<Work>>(ended.work));
  graphs.add(*graph);
  return success;
}

static int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
  RETURN_IF_FAILED(ready(nullptr));
  if (!executable || flags != 0) return invalidValue;
  if (!graphs.contains(graph)) return explain(invalidValue, "no such graph");
  *executable = new Graph(*static_cast<Graph *>(graph));
  executables.add(*executable);
  return success;
}

static int cuGraphLaunch(void *executable, void *stream) {
  RETURN_IF_FAILED(ready(stream));
  if (!executables.contains(executable)) return explain(invalidValue, "no such graph");
  return perform(stream, [work = *static_cast<Graph *>(executable)]() -> int {
    for (const Work &step : *work) {
      if (const int result = step(); result != success) return result;
    }
    return success;
  });
}

static int cuGraphExecDestroy(void *executable) { return destroy(executables, executable); }
static int cuGraphDestroy(void *graph) { return destroy(graphs, graph); }

size_t cudaemu_live_graphs(void) { return graphs.count() + executables.count(); }

}  // extern "C"

void *cudaemu::findGraphFunction(const char *name) {
  static const Function functions[] = {
      FUNCTION(cuStreamBeginCapture_v2), FUNCTION(cuStreamEndCapture), FUNCTION(cuGraphInstantiateWithFlags),
      FUNCTION(cuGraphLaunch), FUNCTION(cuGraphExecDestroy), FUNCTION(cuGraphDestroy),
  };
  return findFunction(functions, name);
}
