// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// File descriptors and whole reads and writes. Every defect is an Error that names the file; nothing is retried or
// shortened silently. All functions are thread-safe and may share a descriptor (reads and writes carry their offset).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge {

// Owns a file descriptor; -1 = none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  // Closes what it holds, ignoring errors: close a written file by hand (CloseWritten) to see them.
  void Reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

// Text of an errno value, e.g. "No space left on device (ENOSPC)". Thread-safe.
std::string ErrnoText(int error_number);

// Throws Error(RES-MEM) where errno says that this process or the system has no more files or memory to give, which is
// no defect of the file.
void ThrowIfExhausted(int error_number, const std::string& path);

// Reads exactly size_bytes. path is for messages. Throws Error(IN-TRUNCATED) when the file ends before, Error(IN-EIO).
void ReadFully(int fd, uint64_t offset_bytes, void* data, size_t size_bytes, const std::string& path);

// Writes exactly size_bytes. Throws Error(OUT-IO).
void WriteFully(int fd, uint64_t offset_bytes, const void* data, size_t size_bytes, const std::string& path);

// Closes a file that was written and reports what only close() says (NFS, quotas). Throws Error(OUT-IO).
void CloseWritten(UniqueFd fd, const std::string& path);

// Opens an existing regular file for reading; never blocks on a FIFO or device. Follows links.
// Throws Error(IN-MISSING, IN-NOTREG, IN-EIO).
UniqueFd OpenRegular(const std::string& path);

// Throws Error(IN-NOTREG) unless fd is a regular file; returns its size.
uint64_t RegularFileSize(int fd, const std::string& path);

// The whole of a regular file. Throws Error(IN-MISSING, IN-NOTREG, IN-EIO, IN-TRUNCATED), and Error(ST-LIMIT) when it
// is larger than max_bytes.
std::string ReadSmallFile(const std::string& path, uint64_t max_bytes);
// The same for an open descriptor.
std::string ReadSmallFile(int fd, const std::string& path, uint64_t max_bytes);

// Following links; false also when the disk does not say.
bool PathExists(const std::string& path);
bool IsDirectory(const std::string& path);
bool IsRegularFile(const std::string& path);
// Not following a link at the end.
bool IsSymlink(const std::string& path);
// All links resolved; empty if the path does not exist.
std::string ResolvePath(const std::string& path);
// The same as far as the path exists, with the rest of it as it is written; empty and errno when the disk does not say
// whether it exists.
std::string ResolveExistingPart(const std::string& absolute_path);
// The names in a directory, sorted; nullopt and errno when it cannot be listed.
std::optional<std::vector<std::string>> SortedNames(const std::string& directory);

}  // namespace gpumerge
