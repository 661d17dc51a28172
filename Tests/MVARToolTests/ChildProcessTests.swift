// Processes that the tool starts end with it, and one that a signal ends is reported with the signal. Linux only, where
// a file lists a process's children.

#if os(Linux)
  import MVARTestSupport
  import Testing

  @Suite("Child processes")
  struct ChildProcessTests {
    /// Starts a check that takes a minute, `$p`, and waits for the process `$c` that does the work.
    private static let start = """
      "$MVAR" verify "\(Fixtures.path("golden/tiny.vqvae.safetensors"))" --device reference --summary & p=$!
      c=; while [ -z "$c" ]; do c=$(cat /proc/$p/task/*/children 2>/dev/null | tr -d ' '); done; sleep 0.5

      """

    @Test("a check ended by a signal is not the file's fault")
    func killedChild() throws {
      try withTemporaryFolder { folder in
        let result = try Tool.shell(Self.start + "kill -KILL $c; wait $p", in: folder)
        #expect(result.code == 2)
        #expect(
          result.errors.hasSuffix(
            "tiny.vqvae.safetensors: could not be judged: the process that checked it was ended by signal 9 (Killed, perhaps for want of memory)\n"
          ),
          "\(result.errors)")
        #expect(result.output == "")
      }
    }

    @Test("a killed program leaves no process behind")
    func killedParent() throws {
      try withTemporaryFolder { folder in
        let result = try Tool.shell(
          Self.start + """
            kill -KILL $p; i=0
            while [ -e /proc/$c ] && ! grep -q '^State:.*Z' /proc/$c/status; do
              [ $i -lt 100 ] || { kill -KILL $c; echo left; exit 0; }
              i=$((i + 1)); sleep 0.1
            done
            echo gone
            """, in: folder)
        #expect(result.output == "gone\n", "\(result.errors)")
      }
    }

    @Test("a killed judge leaves no kernel behind, whatever the kernel does", arguments: [[], ["--serve"]])
    func killedJudge(_ options: [String]) throws {
      try withTemporaryFolder { folder in
        let script = """
          trap '' HUP TERM INT PIPE
          echo $$ > started.new; mv started.new started
          while :; do sleep 0.1; done
          """
        try script.write(toFile: "\(folder)/kernel.sh", atomically: true, encoding: .utf8)
        let result = try Tool.shell(
          """
          "$MVAR" golden run --operator silu \(options.joined(separator: " ")) -- /bin/sh kernel.sh & p=$!
          while [ ! -e started ]; do sleep 0.05; done
          kill -KILL $p; c=$(cat started); i=0
          while kill -0 $c 2>/dev/null && ! grep -q '^State:.*Z' /proc/$c/status; do
            [ $i -lt 100 ] || { kill -KILL $c; echo left; exit 0; }
            i=$((i + 1)); sleep 0.1
          done
          echo gone
          """, in: folder)
        #expect(result.output == "gone\n", "\(result.errors)")
      }
    }
  }
#endif
