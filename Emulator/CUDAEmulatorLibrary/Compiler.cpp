// The functions of NVRTC under their own names, for the emulated device: its kernels are part of the emulator, and the
// image of a kernel file is the file's name. A source with any other name does not compile.

#include <cstddef>
#include <cstring>
#include <string>

#include "CUDAEmulatorLibrary.h"

namespace {

/// nvrtcResult.
enum Result : int { success = 0, invalidInput = 3, invalidProgram = 4, compilationFailed = 6 };

/// A source to compile.
struct Program {
  /// The name of its file, and after compilation its image.
  std::string name;
  /// What went wrong.
  std::string log;
};

Program *program(void *handle) { return static_cast<Program *>(handle); }

/// Whether the emulator has the kernels of a file.
bool isKnown(const std::string &name) {
  for (size_t index = 0; const char *file = cudaemu_file_at(index); ++index) {
    if (name == file) return true;
  }
  return false;
}

int sizeOf(const std::string &text, size_t *size) {
  if (!size) return invalidInput;
  *size = text.size() + 1;
  return success;
}

int copy(const std::string &text, char *room) {
  if (!room) return invalidInput;
  std::memcpy(room, text.c_str(), text.size() + 1);
  return success;
}

}  // namespace

extern "C" {

int nvrtcVersion(int *major, int *minor) {
  if (!major || !minor) return invalidInput;
  // No compiler will ever have this minor version, so cached results are not mistaken for a real compiler's.
  *major = 13;
  *minor = 999;
  return success;
}

const char *nvrtcGetErrorString(int result) {
  switch (result) {
    case success: return "no error";
    case invalidInput: return "invalid input";
    case invalidProgram: return "invalid program";
    case compilationFailed: return "compilation failed";
    default: return nullptr;
  }
}

int nvrtcGetNumSupportedArchs(int *count) {
  if (!count) return invalidInput;
  *count = 1;
  return success;
}

int nvrtcGetSupportedArchs(int *architectures) {
  if (!architectures) return invalidInput;
  *architectures = 89;
  return success;
}

int nvrtcCreateProgram(void **handle, const char *text, const char *name, int, const char *const *,
                       const char *const *) {
  if (!handle || !text || !name) return invalidInput;
  *handle = new Program{name, ""};
  return success;
}

int nvrtcDestroyProgram(void **handle) {
  if (!handle || !*handle) return invalidProgram;
  delete program(*handle);
  *handle = nullptr;
  return success;
}

int nvrtcCompileProgram(void *handle, int, const char *const *) {
  if (!handle) return invalidProgram;
  if (isKnown(program(handle)->name)) return success;
  program(handle)->log = "the emulator has no kernels of " + program(handle)->name;
  return compilationFailed;
}

int nvrtcGetProgramLogSize(void *handle, size_t *size) { return sizeOf(program(handle)->log, size); }
int nvrtcGetProgramLog(void *handle, char *log) { return copy(program(handle)->log, log); }
int nvrtcGetCUBINSize(void *handle, size_t *size) { return sizeOf(program(handle)->name, size); }
int nvrtcGetCUBIN(void *handle, char *image) { return copy(program(handle)->name, image); }
int nvrtcGetPTXSize(void *handle, size_t *size) { return sizeOf(program(handle)->name, size); }
int nvrtcGetPTX(void *handle, char *image) { return copy(program(handle)->name, image); }

}  // extern "C"
