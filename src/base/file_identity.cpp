// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/base/file_identity.h"

#include "src/base/file.h"
#include "src/base/system_calls.h"

#include <cerrno>
#include <sys/stat.h>

namespace gpumerge {
namespace {

int64_t Nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

FileIdentity IdentityOf(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size_bytes = static_cast<uint64_t>(status.st_size),
          .mtime_ns = Nanoseconds(status.st_mtim),
          .ctime_ns = Nanoseconds(status.st_ctim)};
}

}  // namespace

std::optional<FileIdentity> IdentifyFile(const std::string& path) {
  struct stat status {};
  if (Sys().Stat(path.c_str(), &status) != 0) return std::nullopt;
  return IdentityOf(status);
}

FileIdentity IdentifyOpenFile(int fd, const std::string& path) {
  struct stat status {};
  if (Sys().Fstat(fd, &status) == 0) return IdentityOf(status);
  throw Error({.code = ErrorCode::kInIo, .message = "cannot look at the input: " + ErrnoText(errno), .where = path});
}

void CheckOpenUnchanged(int fd, const std::string& path, const FileIdentity& before) {
  if (IdentifyOpenFile(fd, path) != before) throw FileChanged(path);
}

Error FileChanged(const std::string& path) {
  return Error({.code = ErrorCode::kInChanged,
                .message = "an input file changed after it was first looked at",
                .where = path,
                .help = "let the other program finish, then run this again"});
}

}  // namespace gpumerge
