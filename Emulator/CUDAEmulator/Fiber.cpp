#include "Fiber.hpp"

#if defined(__x86_64__)

// The callee-saved registers are pushed onto the old stack and popped from the new one. The return address is popped
// and jumped to: `ret` would always be mispredicted to return to the caller of this switch, and would cost three times
// as much.
asm(R"(
  .text
  .p2align 4
  .globl cudaemu_switch
  .hidden cudaemu_switch
  .type cudaemu_switch, @function
cudaemu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
  .size cudaemu_switch, .-cudaemu_switch
)");

void *cudaemu::prepareStack(void *top, void (*entry)()) {
  // Six registers, the address to jump to, and a return address that is never used. After the jump the stack pointer is
  // 8 bytes off a multiple of 16, as after any call.
  void **frame = static_cast<void **>(top) - 8;
  frame[6] = reinterpret_cast<void *>(entry);
  frame[7] = nullptr;
  return frame;
}

#elif defined(__aarch64__)

asm(R"(
  .text
  .p2align 4
  .globl cudaemu_switch
  .hidden cudaemu_switch
  .type cudaemu_switch, %function
cudaemu_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size cudaemu_switch, .-cudaemu_switch
)");

void *cudaemu::prepareStack(void *top, void (*entry)()) {
  void **frame = static_cast<void **>(top) - 20;
  frame[10] = nullptr;                          // x29, the frame pointer: the chain of calls ends here.
  frame[11] = reinterpret_cast<void *>(entry);  // x30, where `ret` goes.
  return frame;
}

#else
#error "the emulator knows how to switch stacks on x86-64 and aarch64 only"
#endif
