// Kernels that are shared libraries: those of the example pass, and what memory shows is found: writes outside of a tensor,
// changed inputs, results that were never written, crashes.

import Foundation
import MVARTestSupport
import Testing

@Suite("Kernels in shared libraries")
struct KernelLibraryTests {
  private static let one = ["--only", #"\[1, 1, 7\]"#]

  @Test(
    "the kernels of the example are right", arguments: ["neighborhoodAttention", "adaptiveLayerNorm", "filterLogits"],
    ["float32", "tf32", "bfloat16", "float16"])
  func example(_ name: String, _ dtype: String) throws {
    try withTemporaryFolder { folder in
      let outcome = try KernelTool.library(
        KernelTool.example, operator: name, ["--dtype", dtype, "--quiet"], in: folder)
      #expect(outcome.result.code == 0, "\(outcome.result.output) \(outcome.result.errors)")
      #expect(outcome.rows.allSatisfy { $0.verdict == "passed" } && outcome.rows.count >= 5)
    }
  }

  @Test(
    "a planted fault is found, and the right tensor is named",
    arguments: [
      ("border", "neighborhoodAttention", ["out", "grad.queries", "grad.keys", "grad.values"]),
      ("no-max", "neighborhoodAttention", ["out", "grad.queries", "grad.keys", "grad.values"]),
      ("neighbor", "neighborhoodAttention", ["grad.keys"]),
      ("swap", "adaptiveLayerNorm", ["out"]),
      ("off-by-one", "filterLogits", ["out"]),
      ("overrun", "adaptiveLayerNorm", ["out"]),
      ("input", "adaptiveLayerNorm", ["in.x"]),
      ("stale", "adaptiveLayerNorm", ["out"]),
    ])
  func faults(_ fault: String, _ name: String, _ tensors: [String]) throws {
    try withTemporaryFolder { folder in
      let outcome = try KernelTool.library(
        KernelTool.example, operator: name, environment: ["MVAR_FAULT": fault], in: folder)
      #expect(outcome.result.code == 1)
      let named = Set(outcome.failed.map { $0.replacing(/^.*\.((in|grad)\.[a-z]+|out)$/) { String($0.output.1) } })
      #expect(named == Set(tensors), "\(outcome.failed)")
    }
  }

  @Test(
    "what memory shows",
    arguments: [
      (
        "((float *)call->outputs[0].data)[-2] = 1; return 0;", "4 bytes before its start, the nearest 5 bytes before it"
      ),
      ("((char *)call->outputs[0].data)[30] = 1; return 0;", "1 byte behind its end, beginning at byte 2"),
      ("((char *)call->inputs[1].data)[-1] = 1; return 9;", "returned 9, and in.scale: the kernel wrote outside of it"),
      ("((char *)call->grad_outputs[0].data)[5] ^= 1; return 0;", "only to be read, first at [0, 0, 1]"),
      ("return 0;", "the kernel never wrote to it"),
      ("((float *)call->outputs[0].data)[0] = 1; return 0;", "6 elements were never written, the first at [0, 0, 1]"),
      (
        "((char *)call->outputs[0].data)[30] = 1; return MVAR_NOT_SUPPORTED;",
        "returned 77, and out: the kernel wrote outside of it: 1 byte behind its end"
      ),
      ("return 12;", "mvar_kernel returned 12"),
      ("fputs(\"CUDA error: out of memory\\n\", stderr); return MVAR_FAILED;", "returned 1: CUDA error: out of memory"),
      ("abort();", "signal 6 (Aborted)"),
      ("((char *)call->outputs[0].data)[100000] = 1; return 0;", "signal 11 (Segmentation fault)"),
      ("fprintf(stderr, \"bad\\nworse\\n\"); exit(7);", "the process ended with status 7: worse"),
      ("for (;;) {}", "no answer within 1 s"),
    ])
  func memory(_ body: String, _ cause: String) throws {
    try withTemporaryFolder { folder in
      let outcome = try KernelTool.library(
        [try KernelTool.source(body, in: folder)], Self.one + ["--timeout", "1"], in: folder)
      #expect(outcome.result.code == 1)
      #expect(outcome.failures.contains { $0.contains(cause) }, "\(outcome.failures)")
    }
  }

  @Test("what a library prints does no harm, and it learns everything about its case")
  func call() throws {
    try withTemporaryFolder { folder in
      let body = """
        printf("ok\\n"); fflush(stdout); puts("error in name only");
        if (call->version != MVAR_KERNEL_VERSION || call->input_count != 3 || call->gradient_count != 3) return 2;
        if (!mvar_is(call, "adaptiveLayerNorm") || !strstr(call->case_name, "[1, 1, 7]")) return 3;
        const mvar_tensor *x = mvar_input(call, "x");
        if (!x || x->dtype != MVAR_BFLOAT16 || x->rank != 3 || x->shape[2] != 7 || mvar_count(x) != 7) return 4;
        if (!mvar_input(call, "scale") || !mvar_input(call, "shift") || mvar_input(call, "other")) return 5;
        if (!mvar_output(call, "output") || !mvar_grad_output(call, "output") || !mvar_gradient(call, "x")) return 6;
        if (mvar_number(call, "epsilon", 0) != 1e-6 || mvar_integer(call, "epsilon", 4) != 4) return 7;
        if (mvar_find_attribute(call, "other") || (uintptr_t)x->data % 64) return 8;
        return MVAR_NOT_SUPPORTED;
        """
      let outcome = try KernelTool.library(
        [try KernelTool.source(body, in: folder)], Self.one + ["--dtype", "bfloat16"], in: folder)
      #expect(outcome.rows.map(\.verdict) == ["notSupported"], "\(outcome.failures)")
    }
  }

  @Test(
    "what a library does while it is loaded holds nothing up",
    arguments: [
      ("for (int i = 0; i < 5000; i++) fprintf(stderr, \"warning %04d: no device was found, no plug-in\\n\", i);", nil),
      ("for (int i = 0; i < 5000; i++) { puts(\"ok\"); puts(\"error of a plug-in that is loaded as well\"); }", nil),
      ("if (fork() == 0) { sleep(60); _exit(0); }", nil),
      ("for (;;) pause();", "it was not loaded within 1 s"),
      ("fputs(\"waiting\\n\", stderr); for (;;) pause();", "it was not loaded within 1 s: waiting"),
      ("for (;;) fputs(\"y\\n\", stderr);", "it was not loaded within 1 s: y"),
      ("_exit(0);", "the process that loaded it ended with status 0"),
      ("abort();", "the process that loaded it was ended by signal 6 (Aborted)"),
    ] as [(String, String?)])
  func loading(_ whenLoaded: String, _ sentence: String?) throws {
    try withTemporaryFolder { folder in
      let source = try KernelTool.source("return MVAR_NOT_SUPPORTED;", whenLoaded: whenLoaded, in: folder)
      let start = ContinuousClock.now
      let outcome = try KernelTool.library([source], Self.one + ["--timeout", "1"], in: folder)
      #expect(ContinuousClock.now - start < .seconds(30))
      #expect(outcome.result.code == 2)
      #expect(outcome.rows.map(\.verdict) == (sentence == nil ? ["notSupported"] : []), "\(outcome.failures)")
      #expect(outcome.result.errors == (sentence.map { "mvar: kernel.so: \($0)\n" } ?? ""))
    }
  }

  @Test("a run is interrupted while a library is loaded", arguments: [("INT", 130), ("TERM", 143)])
  func interrupted(_ signal: String, _ status: Int) throws {
    try withTemporaryFolder { folder in
      let body = "FILE *f = fopen(\"started\", \"w\"); fprintf(f, \"%d\", getpid()); fclose(f); for (;;) pause();"
      try KernelTool.compile([try KernelTool.source("return 0;", whenLoaded: body, in: folder)], in: folder)
      let result = try Tool.shell(
        """
        "$MVAR" golden run --operator silu --library kernel.so & p=$!
        while [ ! -s started ]; do sleep 0.1; done
        kill -\(signal) $p; wait $p; echo "status $?"
        kill -0 "$(cat started)" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$(cat started)/status" && echo alive
        exit 0
        """, in: folder)
      #expect(result.output == "status \(status)\n", "\(result.errors)")
    }
  }

  @Test("a library without the function")
  func noFunction() throws {
    try withTemporaryFolder { folder in
      try "int other;".write(toFile: "\(folder)/other.c", atomically: true, encoding: .utf8)
      let outcome = try KernelTool.library(["other.c"], in: folder)
      #expect(outcome.result.code == 2)
      #expect(outcome.result.errors == "mvar: kernel.so: has no function mvar_kernel; see mvar_kernel.h\n")
    }
  }

  @Test("a kernel without gradients passes with --forward-only, and fails without")
  func forwardOnly() throws {
    try withTemporaryFolder { folder in
      let body = """
        const mvar_tensor *x = mvar_input(call, "x");
        for (int64_t i = 0; i < mvar_count(x); i++) {
          double v = mvar_get(x, i);
          mvar_set(mvar_output(call, "output"), i, v > 0 ? v : 0);
        }
        return 0;
        """
      let source = try KernelTool.source(body.replacing("v > 0 ? v : 0", with: "2 * v"), in: folder)
      let loose = ["--only", "silu", "--atol", "1e9"]
      let both = try KernelTool.library([source], operator: "silu", loose, in: folder)
      #expect(both.result.code == 1)
      #expect(Set(both.failures) == ["the kernel never wrote to it"])
      let forward = try KernelTool.library([source], operator: "silu", loose + ["--forward-only"], in: folder)
      #expect(forward.result.code == 0, "\(forward.result.output)")
      #expect(forward.rows.contains { $0.bar?.reason.hasPrefix("set by the user") == true })
    }
  }
}

@Suite("The header of kernels")
struct KernelHeaderTests {
  @Test(
    "it is clean C and C++",
    arguments: [("cc", "c", "-std=c99"), ("cc", "c", "-std=c17"), ("c++", "c++", "-std=c++11")])
  func clean(_ compiler: String, _ language: String, _ standard: String) throws {
    try withTemporaryFolder { folder in
      let header = "\(KernelTool.package)/Sources/MVARKernelABI/include/mvar_kernel.h"
      try "#include \"\(header)\"\n".write(toFile: "\(folder)/kernel.c", atomically: true, encoding: .utf8)
      let warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wcast-qual", "-Werror"]
      let result = try BuiltProgram.run(
        "/usr/bin/env", [compiler, "-x", language, standard, "-fsyntax-only"] + warnings + ["kernel.c"], in: folder,
        environment: ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"])
      #expect(result.code == 0, "\(result.errors)")
    }
  }

  @Test("its half types are those of the processor or the compiler, for every bit pattern")
  func halfTypes() throws {
    try withTemporaryFolder { folder in
      let body = """
        for (uint32_t half = 0; half < 65536; half++) {
          mvar_tensor tensor = {"", MVAR_FLOAT16, 0, 0, 0};
          for (tensor.dtype = MVAR_BFLOAT16; tensor.dtype <= MVAR_FLOAT16; tensor.dtype++) {
            uint16_t bits = (uint16_t)half, back = 0;
            tensor.data = &bits;
            double value = mvar_get(&tensor, 0);
            int sign = half >> 15, wide = tensor.dtype == MVAR_FLOAT16 ? 10 : 7;
            int exponent = (half & 0x7fff) >> wide, fraction = half & ((1 << wide) - 1);
            int top = tensor.dtype == MVAR_FLOAT16 ? 31 : 255, bias = top / 2;
            double size = exponent ? ldexp((1 << wide) + fraction, exponent - bias - wide) : ldexp(fraction, 1 - bias - wide);
            if (exponent == top) { if (fraction ? value == value : value != (sign ? -INFINITY : INFINITY)) return 3; continue; }
            if (value != (sign ? -size : size)) return 4;
            tensor.data = &back;
            mvar_set(&tensor, 0, value);
            if (back != bits) return 5;
            // Half way to the next number: to the even one.
            double next = ldexp(size + ldexp(1, (exponent ? exponent : 1) - bias - wide - 1), 0);
            mvar_set(&tensor, 0, next);
            if (back != ((half & 0x7fff) + (half & 1))) return 6;
          }
        }
        return MVAR_NOT_SUPPORTED;
        """
      let source = try KernelTool.source(body, in: folder)
      let text = try String(contentsOfFile: "\(folder)/\(source)", encoding: .utf8)
      try "#include <math.h>\n\(text)".write(toFile: "\(folder)/\(source)", atomically: true, encoding: .utf8)
      let outcome = try KernelTool.library([source], ["--only", #"\[1, 1, 7\]"#], in: folder)
      #expect(outcome.rows.map(\.verdict) == ["notSupported"], "\(outcome.failures)")
    }
  }
}
