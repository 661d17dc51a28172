// Starting a program that ends with the one that started it. Between fork and exec only functions may be called that are safe in
// a signal handler, which Swift cannot promise.

#pragma once

#if defined(__linux__)

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

extern int execvpe(const char *_Nonnull file, char *const _Nullable *_Nonnull arguments,
                   char *const _Nullable *_Nonnull environment);

/// Runs a program, searched for in PATH, in a process group of its own, with no signal blocked or ignored. The system kills
/// it as soon as the calling thread ends, however that ends.
///
/// `descriptors` are those that become standard input, output and error; a negative one stands for /dev/null. The result is
/// 0 or an error number; no process is left after an error.
static inline int startWithParent(pid_t *_Nonnull process, const char *_Nonnull file,
                                  char *const _Nullable *_Nonnull arguments,
                                  char *const _Nullable *_Nonnull environment, const int *_Nonnull descriptors) {
  int failure[2];
  if (pipe(failure) != 0) return errno;
  fcntl(failure[0], F_SETFD, FD_CLOEXEC);
  fcntl(failure[1], F_SETFD, FD_CLOEXEC);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    // The parent may have ended before this was requested.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent) _exit(127);
    setpgid(0, 0);
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int error = 0;
    for (int target = 0; target < 3 && error == 0; target++) {
      const int source = descriptors[target] >= 0 ? descriptors[target] : open("/dev/null", O_RDWR | O_CLOEXEC);
      if (source < 0 || dup2(source, target) < 0) error = errno;
    }
    if (error == 0) {
      execvpe(file, arguments, environment);
      error = errno;
    }
    while (write(failure[1], &error, sizeof error) < 0 && errno == EINTR) {
    }
    _exit(127);
  }
  int error = child < 0 ? errno : 0;
  close(failure[1]);
  if (child > 0) {
    // Nothing arrives where the program runs: its end of the pipe was closed then.
    int told = 0;
    ssize_t count;
    while ((count = read(failure[0], &told, sizeof told)) < 0 && errno == EINTR) {
    }
    if (count == (ssize_t)sizeof told) {
      error = told;
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
      }
    }
  }
  close(failure[0]);
  *process = child;
  return error;
}

#endif
