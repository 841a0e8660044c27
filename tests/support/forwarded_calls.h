// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// System calls that go on to the kernel; a test overrides those that it is about.
#pragma once

#include "src/base/system_calls.h"

#include <string>
#include <vector>

namespace gpumerge::test {

class ForwardedCalls : public SystemCalls {
 public:
  int Open(const char* path, int flags, mode_t mode) override { return KernelCalls().Open(path, flags, mode); }
  int OpenBeneath(const char* root, const char* below, int flags) override {
    return KernelCalls().OpenBeneath(root, below, flags);
  }
  int Close(int fd) override { return KernelCalls().Close(fd); }
  ssize_t Pread(int fd, void* data, size_t size_bytes, off_t offset_bytes) override {
    return KernelCalls().Pread(fd, data, size_bytes, offset_bytes);
  }
  ssize_t Pwrite(int fd, const void* data, size_t size_bytes, off_t offset_bytes) override {
    return KernelCalls().Pwrite(fd, data, size_bytes, offset_bytes);
  }
  int Fallocate(int fd, int mode, off_t offset_bytes, off_t size_bytes) override {
    return KernelCalls().Fallocate(fd, mode, offset_bytes, size_bytes);
  }
  int Ftruncate(int fd, off_t size_bytes) override { return KernelCalls().Ftruncate(fd, size_bytes); }
  int Fadvise(int fd, off_t offset_bytes, off_t size_bytes, int advice) override {
    return KernelCalls().Fadvise(fd, offset_bytes, size_bytes, advice);
  }
  int SyncFileRange(int fd, off_t offset_bytes, off_t size_bytes, unsigned flags) override {
    return KernelCalls().SyncFileRange(fd, offset_bytes, size_bytes, flags);
  }
  int Fdatasync(int fd) override { return KernelCalls().Fdatasync(fd); }
  int Fsync(int fd) override { return KernelCalls().Fsync(fd); }
  int Flock(int fd, int operation) override { return KernelCalls().Flock(fd, operation); }
  int Fstat(int fd, struct stat* status) override { return KernelCalls().Fstat(fd, status); }
  int Stat(const char* path, struct stat* status) override { return KernelCalls().Stat(path, status); }
  int Lstat(const char* path, struct stat* status) override { return KernelCalls().Lstat(path, status); }
  int Statvfs(const char* path, struct statvfs* status) override { return KernelCalls().Statvfs(path, status); }
  int Access(const char* path, int mode) override { return KernelCalls().Access(path, mode); }
  int IsMountRoot(const char* path) override { return KernelCalls().IsMountRoot(path); }
  std::string RealPath(const char* path) override { return KernelCalls().RealPath(path); }
  int ReadDirectory(const char* path, std::vector<std::string>* names) override {
    return KernelCalls().ReadDirectory(path, names);
  }
  int Mkdir(const char* path, mode_t mode) override { return KernelCalls().Mkdir(path, mode); }
  int Rmdir(const char* path) override { return KernelCalls().Rmdir(path); }
  int Unlink(const char* path) override { return KernelCalls().Unlink(path); }
  int Rename(const char* from, const char* to, unsigned flags) override {
    return KernelCalls().Rename(from, to, flags);
  }
};

}  // namespace gpumerge::test
