// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// openat2 lets the kernel keep the walk below root without a race; older kernels and absolute links that stay inside
// are resolved by realpath and checked.
#include "src/io/contained_open.h"

#include "src/base/system_calls.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>

namespace gpumerge {
namespace {

// O_NONBLOCK: a FIFO without a writer opens at once, and is refused as not regular.
constexpr int kOpenFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;

[[noreturn]] void ThrowEscape(const std::string& root, const std::string& path, const std::string& target) {
  throw Error(
      {.code = ErrorCode::kInSymlink,
       .message = "a symbolic link leaves the model's directory",
       .where = path,
       .found = target,
       .expected = "a path below " + root,
       .help = "replace the link by the file, name the directory that holds the files, or say --follow-symlinks"});
}

UniqueFd OpenResolved(const std::string& root, const std::string& path) {
  const std::string target = ResolvePath(path);
  if (target.empty()) return UniqueFd();
  if (!LiesBelow(target, root)) ThrowEscape(root, path, target);
  return UniqueFd(Sys().Open(target.c_str(), kOpenFlags | O_NOFOLLOW, 0));
}

}  // namespace

bool LiesBelow(std::string_view path, std::string_view root) {
  if (root == "/" || path == root) return true;
  return path.size() > root.size() && path.starts_with(root) && path[root.size()] == '/';
}

UniqueFd OpenContained(const std::string& root, const std::string& path) {
  if (!LiesBelow(path, root) || path == root) ThrowEscape(root, path, path);
  const std::string below = path.substr(root == "/" ? 1 : root.size() + 1);
  UniqueFd fd(Sys().OpenBeneath(root.c_str(), below.c_str(), kOpenFlags));
  // EXDEV: the walk left root, perhaps only on its way (an absolute link). The others: no openat2 here.
  const bool asks_again = errno == EXDEV || errno == ENOSYS || errno == EPERM || errno == EAGAIN;
  if (!fd && asks_again) fd = OpenResolved(root, path);
  if (fd) {
    RegularFileSize(fd.get(), path);
    return fd;
  }
  switch (errno) {
    case ENOENT:
    case ENOTDIR:
      return UniqueFd();
    case ELOOP:
      throw Error({.code = ErrorCode::kInSymlink,
                   .message = "a symbolic link leads to itself or to a process's files",
                   .where = path,
                   .found = {},
                   .expected = {},
                   .help = {}});
    case ENXIO:
    case ENODEV:
      throw Error({.code = ErrorCode::kInNotRegular,
                   .message = "an input is not a regular file",
                   .where = path,
                   .found = "a socket or device",
                   .expected = "a regular file",
                   .help = {}});
    default:
      ThrowIfExhausted(errno, path);
      throw Error({.code = ErrorCode::kInIo,
                   .message = fmt::format("cannot open the input: {}", ErrnoText(errno)),
                   .where = path,
                   .found = {},
                   .expected = {},
                   .help = {}});
  }
}

}  // namespace gpumerge
