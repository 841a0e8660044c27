// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Every system call on files that a run makes goes through one SystemCalls, so that tests can put a simulated disk, a
// power cut or a failing call under the unchanged program. Each function behaves as the call of its name in section 2
// of the manual: the same arguments, -1 and errno on failure, short reads and writes included.
#pragma once

#include <cstddef>
#include <string>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <vector>

namespace gpumerge {

class SystemCalls {
 public:
  SystemCalls() = default;
  SystemCalls(const SystemCalls&) = delete;
  SystemCalls& operator=(const SystemCalls&) = delete;
  virtual ~SystemCalls() = default;

  // O_CLOEXEC is always added.
  virtual int Open(const char* path, int flags, mode_t mode) = 0;
  // openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS: below is relative to root, and links may not leave root.
  virtual int OpenBeneath(const char* root, const char* below, int flags) = 0;
  virtual int Close(int fd) = 0;
  virtual ssize_t Pread(int fd, void* data, size_t size_bytes, off_t offset_bytes) = 0;
  virtual ssize_t Pwrite(int fd, const void* data, size_t size_bytes, off_t offset_bytes) = 0;
  virtual int Fallocate(int fd, int mode, off_t offset_bytes, off_t size_bytes) = 0;
  virtual int Ftruncate(int fd, off_t size_bytes) = 0;
  virtual int Fadvise(int fd, off_t offset_bytes, off_t size_bytes, int advice) = 0;  // an errno value, not -1
  virtual int SyncFileRange(int fd, off_t offset_bytes, off_t size_bytes, unsigned flags) = 0;
  virtual int Fdatasync(int fd) = 0;
  virtual int Fsync(int fd) = 0;  // of a directory too
  virtual int Flock(int fd, int operation) = 0;

  virtual int Fstat(int fd, struct stat* status) = 0;
  virtual int Stat(const char* path, struct stat* status) = 0;
  virtual int Lstat(const char* path, struct stat* status) = 0;
  virtual int Statvfs(const char* path, struct statvfs* status) = 0;
  virtual int Access(const char* path, int mode) = 0;
  // 1: the root of a mounted file system, 0: not, -1: unknown.
  virtual int IsMountRoot(const char* path) = 0;
  // realpath(3); empty and errno on failure.
  virtual std::string RealPath(const char* path) = 0;
  // The names in a directory without "." and "..", in no order; -1 and errno on failure.
  virtual int ReadDirectory(const char* path, std::vector<std::string>* names) = 0;

  virtual int Mkdir(const char* path, mode_t mode) = 0;
  virtual int Rmdir(const char* path) = 0;
  virtual int Unlink(const char* path) = 0;
  // flags: as renameat2(2).
  virtual int Rename(const char* from, const char* to, unsigned flags) = 0;
};

// What is in use: the kernel, unless a test has put something else there.
SystemCalls& Sys();
// The kernel itself: what a test's own SystemCalls hands on to.
SystemCalls& KernelCalls();

// Puts other system calls in place as long as it lives. For tests, and not while another thread makes calls.
class ReplacedSystemCalls {
 public:
  explicit ReplacedSystemCalls(SystemCalls& calls);
  ~ReplacedSystemCalls();
  ReplacedSystemCalls(const ReplacedSystemCalls&) = delete;
  ReplacedSystemCalls& operator=(const ReplacedSystemCalls&) = delete;

 private:
  SystemCalls& before_;
};

}  // namespace gpumerge
