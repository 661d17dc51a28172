// Switching between stacks. A fiber is a stack and the registers that a function call must preserve; switching to
// another one costs about as much as a function call.

#pragma once

namespace cudaemu {

/// Prepares a stack so that the first switch to it calls `entry`, which must not return.
///
/// - Parameter top: the end of the stack's memory, a multiple of 16.
/// - Returns: the stack pointer to switch to.
void *prepareStack(void *top, void (*entry)());

/// Saves this stack's pointer in `saved` and continues on another stack, where that one was left.
extern "C" void cudaemu_switch(void **saved, void *other) __attribute__((visibility("hidden")));

}  // namespace cudaemu
