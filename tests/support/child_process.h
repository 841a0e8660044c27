// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Parts of a test in a process of their own: with another umask, limits, working directory or mounts. Header-only.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

namespace gpumerge::test {

// Runs `body` in a child process, which is killed if it hangs. To be called while this process has one thread.
inline pid_t StartChild(const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::alarm(60);
  bool is_good = false;
  try {
    is_good = body();
  } catch (const std::exception& error) {
    fprintf(stderr, "in child: %s\n", error.what());
  }
  ::_exit(is_good ? 0 : 1);
}

// True when the child's body returned true.
inline bool WaitForChild(pid_t child) {
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

inline bool InChild(const std::function<bool()>& body) { return WaitForChild(StartChild(body)); }

// Runs `body` in a child process with a tmpfs at mount_point, in a mount namespace of its own.
enum class MountResult { kGood, kBad, kNotPermitted };
inline MountResult OnTmpfs(const std::string& mount_point, const char* options, const std::function<bool()>& body) {
  constexpr int kNotPermitted = 2;
  const pid_t child = StartChild([&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", mount_point.c_str(), "tmpfs", 0, options) != 0)
      ::_exit(kNotPermitted);
    return body();
  });
  int status = -1;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status)) return MountResult::kBad;
  if (WEXITSTATUS(status) == kNotPermitted) return MountResult::kNotPermitted;
  return WEXITSTATUS(status) == 0 ? MountResult::kGood : MountResult::kBad;
}

}  // namespace gpumerge::test

// Skips the test, visibly, where mounting is not permitted.
#define GM_RUN_ON_TMPFS(...)                                                                                        \
  do {                                                                                                              \
    const auto mount_result = ::gpumerge::test::OnTmpfs(__VA_ARGS__);                                               \
    if (mount_result == ::gpumerge::test::MountResult::kNotPermitted) GTEST_SKIP() << "this process may not mount"; \
    EXPECT_EQ(mount_result, ::gpumerge::test::MountResult::kGood);                                                  \
  } while (false)
