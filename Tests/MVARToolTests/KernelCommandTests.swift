// Kernels that are commands, and everything that they can do wrong: each costs its own case, with a sentence that says
// what happened, and nothing stays behind.

import Foundation
import MVARTestSupport
import Testing

@Suite("Kernels as commands")
struct KernelCommandTests {
  /// A pattern that chooses one case of adaptive layer norm.
  private static let one = ["--only", #"\[1, 1, 7\]"#]

  @Test(
    "a kernel that fails",
    arguments: [
      ("exit 3", "the command ended with status 3"),
      ("echo first >&2; echo 'no memory' >&2; exit 1", "the command ended with status 1: no memory"),
      ("kill -SEGV $$", "the command was ended by signal 11 (Segmentation fault)"),
      ("exit 0", "the kernel reported success and wrote no file"),
      ("echo nonsense > \"$2\"", "the file that the kernel wrote cannot be used"),
      ("head -c 60 \"$1\" > \"$2\"", "the file that the kernel wrote cannot be used"),
      ("mkdir \"$2\"", "the file that the kernel wrote cannot be used: is a folder"),
      ("mkfifo \"$2\"", "the file that the kernel wrote cannot be used: is a pipe"),
      ("yes >&2", "it did not end within 0.5 s: y"),
      ("sleep 30", "it did not end within 0.5 s"),
    ])
  func failures(_ script: String, _ cause: String) throws {
    try withTemporaryFolder { folder in
      let outcome = try KernelTool.shell(script, Self.one + ["--timeout", "0.5"], in: folder)
      #expect(outcome.result.code == 1, "\(outcome.result.errors)")
      #expect(outcome.rows.count == 1)
      #expect(outcome.failures.first?.contains(cause) == true, "\(outcome.failures)")
    }
  }

  @Test("an answer with the request's tensors lacks its own and has others")
  func wrongNames() throws {
    try withTemporaryFolder { folder in
      let outcome = try KernelTool.shell("cp \"$1\" \"$2\"", Self.one, in: folder)
      #expect(outcome.result.code == 1)
      #expect(outcome.failures.filter { $0 == "the kernel did not return it" }.count == 4, "\(outcome.failures)")
      #expect(outcome.failures.filter { $0 == "the case has no such tensor" }.count == 4, "\(outcome.failures)")
    }
  }

  @Test(
    "an answer of another shape or type",
    arguments: [
      (#"F32","shape":[7],"data_offsets":[0,28]"#, "shape [7], expected [1, 1, 7]"),
      (#"F32","shape":[1,1,0],"data_offsets":[0,0]"#, "shape [1, 1, 0], expected [1, 1, 7]"),
      (#"I32","shape":[1,1,7],"data_offsets":[0,28]"#, "is stored as int32, and must be of a floating-point type"),
      (#"F32","shape":[1,1,7],"data_offsets":[0,28]"#, "every value found is zero"),
      (#"BF16","shape":[1,1,7],"data_offsets":[0,14]"#, "every value found is zero"),
    ])
  func misshapen(_ description: String, _ cause: String) throws {
    try withTemporaryFolder { folder in
      let script = """
        h='{"out":{"dtype":"\(description)}}'
        printf "\\\\$(printf %03o ${#h})\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0\\\\0" > "$2"
        printf %s "$h" >> "$2"
        head -c "$(echo "$h" | sed 's/.*,\\([0-9]*\\)].*/\\1/')" /dev/zero >> "$2"
        """
      let outcome = try KernelTool.shell(script, Self.one + ["--forward-only"], in: folder)
      #expect(outcome.result.code == 1)
      #expect(outcome.failures == [cause], "\(outcome.failures) \(outcome.result.errors)")
    }
  }

  @Test("a case that is not supported is no failure, and nothing passed")
  func unsupported() throws {
    try withTemporaryFolder { folder in
      let outcome = try KernelTool.shell("echo 'only on Sundays' >&2; exit 77", in: folder)
      #expect(outcome.result.code == 2)
      #expect(outcome.rows.map(\.verdict) == ["notSupported"])
      #expect(outcome.rows.first?.cause?.hasSuffix("cases: only on Sundays") == true, "\(outcome.rows)")
    }
  }

  @Test("children that a kernel leaves behind are ended, and hold nothing up")
  func leftBehind() throws {
    try withTemporaryFolder { folder in
      let start = ContinuousClock.now
      let outcome = try KernelTool.shell("sleep 47 & echo $! > left; exit 3", Self.one, in: folder)
      #expect(outcome.failures == ["the command ended with status 3"])
      #expect(ContinuousClock.now - start < .seconds(20))
      let left = try String(contentsOfFile: "\(folder)/left", encoding: .utf8).trimmingCharacters(in: .newlines)
      let state = try Tool.shell(
        "sleep 0.2; kill -0 \(left) 2>/dev/null && ! grep -q '^State:.*Z' /proc/\(left)/status && echo alive || echo gone",
        in: folder)
      #expect(state.output == "gone\n")
    }
  }

  @Test("a kernel that removes the judge's folder costs its own case")
  func removedFolder() throws {
    try withTemporaryFolder { folder in
      let script = "case $(cat \"$1\") in *'[1, 1, 7]'*) rm -r \"$(dirname \"$1\")\"; exit 0 ;; esac; exit 77"
      let outcome = try KernelTool.shell(script, ["--only", #"\[(1, 1, 7|3, 2, 17)\]"#], in: folder)
      #expect(outcome.rows.map(\.verdict) == ["failed", "notSupported"], "\(outcome.result.errors)")
    }
  }

  @Test("a kernel writes to standard output whatever it likes")
  func chatter() throws {
    try withTemporaryFolder { folder in
      let outcome = try KernelTool.shell("head -c 3000000 /dev/urandom; exit 5", Self.one, in: folder)
      #expect(outcome.failures == ["the command ended with status 5"])
    }
  }

  @Test(
    "mistakes on the command line",
    arguments: [
      (["--", "/no/such/program"], Int32(2), "/no/such/program: the command /no/such/program was not found"),
      ([], 64, "no kernel is given"),
      (["--library", "missing.so"], 2, "missing.so: the file does not exist"),
      (["--library", "kernel.txt"], 2, "kernel.txt: cannot be loaded"),
      (["--library", "x.so", "--", "true"], 64, "not both"),
      (["--operator", "softmin", "--", "true"], 64, "which is no operator"),
      (["--dtype", "int4", "--", "true"], 64, "The value 'int4' is invalid for '--dtype"),
      (["--timeout", "0", "--", "true"], 64, "--timeout is 0"),
      (["--serve", "--library", "x.so"], 64, "--serve is for commands"),
      (["--only", "nothing", "--", "true"], 2, "the registry: it has no case"),
      (["--only", "(", "--", "true"], 64, "--only is \"(\""),
      (["missing.safetensors", "--", "true"], 2, "missing.safetensors: the file does not exist"),
    ])
  func mistakes(_ arguments: [String], _ code: Int32, _ sentence: String) throws {
    try withTemporaryFolder { folder in
      try "text".write(toFile: "\(folder)/kernel.txt", atomically: true, encoding: .utf8)
      let outcome = try KernelTool.run(arguments, in: folder)
      #expect(outcome.result.code == code)
      #expect(outcome.result.errors.contains(sentence), "\(outcome.result.errors)")
      #expect(outcome.result.errors.split(separator: "\n").count <= (code == 64 ? 3 : 1), "\(outcome.result.errors)")
    }
  }

  @Test("an interrupted run ends its kernel and removes its files")
  func interrupted() throws {
    try withTemporaryFolder { folder in
      try "echo $$ > started; sleep 60".write(toFile: "\(folder)/kernel.sh", atomically: true, encoding: .utf8)
      let result = try Tool.shell(
        """
        export TMPDIR=$PWD
        "$MVAR" golden run --operator silu -- /bin/sh kernel.sh & p=$!
        while [ ! -s started ]; do sleep 0.1; done
        kill -TERM $p; wait $p; echo "status $?"
        kill -0 "$(cat started)" 2>/dev/null && echo alive; ls
        """, in: folder)
      #expect(result.output == "status 143\nkernel.sh\nstarted\n", "\(result.output) \(result.errors)")
    }
  }
}

@Suite("Served kernels")
struct ServedKernelTests {
  private static let serve = ["--serve", "--timeout", "1", "--only", #"\[(1, 1, 7|3, 2, 17)\]"#]

  @Test(
    "answers that are none",
    arguments: [
      ("while read -r line; do echo 'error out of memory'; done", "out of memory", 2),
      ("while read -r line; do echo ok; done", "the kernel reported success and wrote no file", 2),
      ("while read -r line; do echo unsupported today; done", "", 0),
      ("read -r line; exit 4", "the process ended with status 4", 2),
      (
        "read -r line; echo hello; echo trouble >&2; kill -KILL $$",
        "signal 9 (Killed, perhaps for want of memory): trouble", 2
      ),
      ("read -r line; echo loading; sleep 60", "no answer within 1 s: its last output: loading", 2),
      ("exec >&-; sleep 60", "no answer within 1 s", 2),
      ("yes", "no answer within 1 s: its last output: y", 2),
    ])
  func failures(_ script: String, _ cause: String, _ count: Int) throws {
    try withTemporaryFolder { folder in
      let outcome = try KernelTool.shell(script, Self.serve, in: folder)
      #expect(outcome.result.code == (count > 0 ? 1 : 2), "\(outcome.result.errors)")
      #expect(outcome.failures.count == count, "\(outcome.rows)")
      #expect(outcome.failures.allSatisfy { $0.contains(cause) }, "\(outcome.failures)")
    }
  }

  @Test("a death costs one case, and an answer to nothing is not taken for the next")
  func restarts() throws {
    try withTemporaryFolder { folder in
      // The first process dies, the second one answers before it is asked.
      let script = """
        if [ ! -e once ]; then touch once; read -r line; exit 9; fi
        echo ok; echo ok; sleep 0.3
        while read -r line; do echo 'unsupported really'; done
        """
      let outcome = try KernelTool.shell(script, Self.serve, in: folder)
      #expect(outcome.rows.count == 2)
      #expect(outcome.failures.first == "the process ended with status 9", "\(outcome.rows)")
    }
  }

  /// What a process does after its first answer, at once or only after the next case has been sent.
  private static let ends = ["exit $s", "sleep 0.4; exit $s", "kill -s $s $$", "sleep 0.4; kill -s $s $$"]

  @Test("a process that ended with status 0 between two cases is started again", arguments: ends.prefix(2))
  func restartsQuietly(_ end: String) throws {
    try withTemporaryFolder { folder in
      let script = "s=0; read -r line; echo x >> started; echo unsupported; \(end)"
      let outcome = try KernelTool.shell(script, Self.serve, in: folder)
      #expect(outcome.rows.map(\.verdict) == ["notSupported"], "\(outcome.failures)")
      #expect(try String(contentsOfFile: "\(folder)/started", encoding: .utf8) == "x\nx\n")
    }
  }

  @Test("any other end after an answer fails the next case, whenever it is noticed", arguments: ends)
  func diesAfterAnswer(_ end: String) throws {
    try withTemporaryFolder { folder in
      let (status, words) =
        end.contains("kill") ? ("ABRT", "was ended by signal 6 (Aborted)") : ("9", "ended with status 9")
      let script = "s=\(status); read -r line; echo unsupported; echo trouble >&2; \(end)"
      let outcome = try KernelTool.shell(script, Self.serve, in: folder)
      #expect(outcome.rows.map(\.verdict) == ["notSupported", "failed"])
      #expect(outcome.failures == ["the process \(words) after the case before: trouble"])
    }
  }

  @Test("a process that dies of a case is not said to have died before")
  func diesOfCase() throws {
    try withTemporaryFolder { folder in
      let script = "read -r line; echo unsupported; read -r line; exit 9"
      let outcome = try KernelTool.shell(script, Self.serve, in: folder)
      #expect(outcome.failures == ["the process ended with status 9"])
      // It is asked once more, in case it had ended before, and no more than that.
      let silent = try KernelTool.shell("read -r line; echo x >> started; exit 0", Self.serve, in: folder)
      #expect(silent.failures == Array(repeating: "the process ended with status 0", count: 2))
      #expect(try String(contentsOfFile: "\(folder)/started", encoding: .utf8) == "x\nx\n")
    }
  }

  @Test(
    "what a kernel says of its failure",
    arguments: [
      ("echo 'no memory' >&2; echo 'error 3'", "3: no memory"),
      ("echo 'no memory' >&2; echo 'error no memory'", "no memory"),
      (
        "head -c 300000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last >&2; echo error",
        "the kernel says only `error`: last"
      ),
      ("[ -e once ] || echo early >&2; touch once; case $line in *) echo 'error 3' ;; esac", "3"),
    ])
  func complaints(_ body: String, _ cause: String) throws {
    try withTemporaryFolder { folder in
      let outcome = try KernelTool.shell("while read -r line; do \(body); done", Self.serve, in: folder)
      #expect(outcome.failures.last == cause, "\(outcome.failures)")
    }
  }

  @Test("answers of a program that writes the line ends of Windows", arguments: ["ok", "unsupported", "error bad"])
  func carriageReturns(_ answer: String) throws {
    try withTemporaryFolder { folder in
      let script = "while read -r line; do printf '\(answer)\\r\\n'; done"
      let outcome = try KernelTool.shell(script, Self.serve, in: folder)
      let causes = ["ok": "the kernel reported success and wrote no file", "error bad": "bad"]
      #expect(outcome.failures == (causes[answer].map { [$0, $0] } ?? []))
    }
  }
}
