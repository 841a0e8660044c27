// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// pread/pwrite loops and their errors.
#include "src/base/file.h"

#include "src/base/system_calls.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>

namespace gpumerge {
namespace {

// The kernel moves at most 2 GiB - 4 KiB a call; smaller calls also keep interruptions short.
constexpr size_t kMaxCallBytes = size_t{1} << 30;

[[noreturn]] void ThrowReadError(int error_number, uint64_t offset_bytes, const std::string& path) {
  ThrowIfExhausted(error_number, path);
  throw Error({.code = ErrorCode::kInIo,
               .message = fmt::format("cannot read the input at byte {}: {}", offset_bytes, ErrnoText(error_number)),
               .where = path,
               .found = {},
               .expected = {},
               .help = "check the disk or network file system; the kernel log may say more"});
}

[[noreturn]] void ThrowWriteError(const std::string& what, int error_number, const std::string& path) {
  const bool is_full = error_number == ENOSPC || error_number == EDQUOT;
  throw Error({.code = ErrorCode::kOutIo,
               .message = fmt::format("{}: {}", what, ErrnoText(error_number)),
               .where = path,
               .found = {},
               .expected = {},
               .help = is_full ? "free some space, or write to another disk with --out" : ""});
}

}  // namespace

void UniqueFd::Reset(int fd) noexcept {
  if (fd_ >= 0) Sys().Close(fd_);
  fd_ = fd;
}

std::string ErrnoText(int error_number) {
  char buffer[128];
  const char* text = ::strerror_r(error_number, buffer, sizeof buffer);
  const char* name = ::strerrorname_np(error_number);
  return name == nullptr ? std::string(text) : fmt::format("{} ({})", text, name);
}

void ThrowIfExhausted(int error_number, const std::string& path) {
  if (error_number != EMFILE && error_number != ENFILE && error_number != ENOMEM) return;
  throw Error({.code = ErrorCode::kResMemory,
               .message = fmt::format("the system refuses a file or memory: {}", ErrnoText(error_number)),
               .where = path,
               .found = {},
               .expected = {},
               .help = error_number == ENOMEM ? "free some memory" : "raise the limit of open files (ulimit -n)"});
}

void ReadFully(int fd, uint64_t offset_bytes, void* data, size_t size_bytes, const std::string& path) {
  auto* to = static_cast<std::byte*>(data);
  size_t done_bytes = 0;
  while (done_bytes < size_bytes) {
    const uint64_t at = offset_bytes + done_bytes;
    const ssize_t n =
        Sys().Pread(fd, to + done_bytes, std::min(size_bytes - done_bytes, kMaxCallBytes), static_cast<off_t>(at));
    if (n < 0) {
      if (errno == EINTR) continue;
      ThrowReadError(errno, at, path);
    }
    if (n == 0) {
      throw Error({.code = ErrorCode::kInTruncated,
                   .message = fmt::format("the file ends at byte {} although it was longer when it was opened", at),
                   .where = path,
                   .found = fmt::format("{} bytes", at),
                   .expected = fmt::format("at least {} bytes", offset_bytes + size_bytes),
                   .help = "another program changed the file; run again when it is done"});
    }
    done_bytes += static_cast<size_t>(n);
  }
}

void WriteFully(int fd, uint64_t offset_bytes, const void* data, size_t size_bytes, const std::string& path) {
  const auto* from = static_cast<const std::byte*>(data);
  size_t done_bytes = 0;
  while (done_bytes < size_bytes) {
    const uint64_t at = offset_bytes + done_bytes;
    const ssize_t n =
        Sys().Pwrite(fd, from + done_bytes, std::min(size_bytes - done_bytes, kMaxCallBytes), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    // A write of nothing would loop for ever; the kernel only does it when it cannot go on.
    if (n <= 0) ThrowWriteError(fmt::format("cannot write the output at byte {}", at), n < 0 ? errno : EIO, path);
    done_bytes += static_cast<size_t>(n);
  }
}

void CloseWritten(UniqueFd fd, const std::string& path) {
  // EINTR is not retried: Linux has released the descriptor by then.
  if (Sys().Close(fd.Release()) != 0 && errno != EINTR)
    ThrowWriteError("cannot finish writing the output", errno, path);
}

UniqueFd OpenRegular(const std::string& path) {
  UniqueFd fd(Sys().Open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY, 0));
  if (!fd) {
    const int error_number = errno;
    ThrowIfExhausted(error_number, path);
    const bool is_missing = error_number == ENOENT || error_number == ENOTDIR;
    const bool is_special = error_number == ENXIO || error_number == ENODEV;  // a socket, a device without a driver
    throw Error({.code = is_missing   ? ErrorCode::kInMissing
                         : is_special ? ErrorCode::kInNotRegular
                                      : ErrorCode::kInIo,
                 .message = fmt::format("cannot open the file: {}", ErrnoText(error_number)),
                 .where = path,
                 .found = {},
                 .expected = {},
                 .help = {}});
  }
  RegularFileSize(fd.get(), path);
  return fd;
}

uint64_t RegularFileSize(int fd, const std::string& path) {
  struct stat status {};
  if (Sys().Fstat(fd, &status) != 0) ThrowReadError(errno, 0, path);
  if (S_ISREG(status.st_mode)) return static_cast<uint64_t>(status.st_size);
  const char* kind = S_ISDIR(status.st_mode)    ? "a directory"
                     : S_ISFIFO(status.st_mode) ? "a FIFO"
                     : S_ISCHR(status.st_mode)  ? "a character device"
                     : S_ISBLK(status.st_mode)  ? "a block device"
                     : S_ISSOCK(status.st_mode) ? "a socket"
                                                : "a special file";
  throw Error({.code = ErrorCode::kInNotRegular,
               .message = "an input is not a regular file",
               .where = path,
               .found = kind,
               .expected = "a regular file",
               .help = {}});
}

std::string ReadSmallFile(const std::string& path, uint64_t max_bytes) {
  return ReadSmallFile(OpenRegular(path).get(), path, max_bytes);
}

std::string ReadSmallFile(int fd, const std::string& path, uint64_t max_bytes) {
  const uint64_t size_bytes = RegularFileSize(fd, path);
  if (size_bytes > max_bytes) {
    throw Error({.code = ErrorCode::kResLimit,
                 .message = "the file is larger than gpumerge reads whole",
                 .where = path,
                 .found = fmt::format("{} bytes", size_bytes),
                 .expected = fmt::format("at most {} bytes", max_bytes),
                 .help = {}});
  }
  std::string contents(static_cast<size_t>(size_bytes), '\0');
  ReadFully(fd, 0, contents.data(), contents.size(), path);
  return contents;
}

bool PathExists(const std::string& path) {
  struct stat status {};
  return Sys().Stat(path.c_str(), &status) == 0;
}

bool IsDirectory(const std::string& path) {
  struct stat status {};
  return Sys().Stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool IsRegularFile(const std::string& path) {
  struct stat status {};
  return Sys().Stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

bool IsSymlink(const std::string& path) {
  struct stat status {};
  return Sys().Lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
}

std::string ResolvePath(const std::string& path) { return Sys().RealPath(path.c_str()); }

std::string ResolveExistingPart(const std::string& absolute_path) {
  namespace fs = std::filesystem;
  fs::path existing = absolute_path, rest;
  while (existing != existing.root_path()) {
    const std::string resolved = ResolvePath(existing.string());
    if (!resolved.empty()) return (rest.empty() ? fs::path(resolved) : resolved / rest).lexically_normal().string();
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ELOOP) return {};
    rest = rest.empty() ? existing.filename() : existing.filename() / rest;
    existing = existing.parent_path();
  }
  return fs::path(absolute_path).lexically_normal().string();
}

std::optional<std::vector<std::string>> SortedNames(const std::string& directory) {
  std::vector<std::string> names;
  if (Sys().ReadDirectory(directory.c_str(), &names) != 0) return std::nullopt;
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace gpumerge
