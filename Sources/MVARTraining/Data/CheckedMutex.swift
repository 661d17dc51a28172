// See the file of this name in TensorCore.

#if THREAD_SANITIZER
  import TensorCore

  typealias Mutex = CheckedMutex
#endif
