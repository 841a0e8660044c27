// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The kernel's calls, one line each.
#include "src/base/system_calls.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <memory>
#include <new>
#include <string_view>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace gpumerge {
namespace {

class Kernel final : public SystemCalls {
 public:
  int Open(const char* path, int flags, mode_t mode) override { return ::open(path, flags | O_CLOEXEC, mode); }
  int OpenBeneath(const char* root, const char* below, int flags) override {
    const int root_fd = ::open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) return -1;
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const auto fd = static_cast<int>(::syscall(SYS_openat2, root_fd, below, &how, sizeof how));
    const int error_number = errno;
    ::close(root_fd);
    errno = error_number;
    return fd;
  }
  int Close(int fd) override { return ::close(fd); }
  ssize_t Pread(int fd, void* data, size_t size_bytes, off_t offset_bytes) override {
    return ::pread(fd, data, size_bytes, offset_bytes);
  }
  ssize_t Pwrite(int fd, const void* data, size_t size_bytes, off_t offset_bytes) override {
    return ::pwrite(fd, data, size_bytes, offset_bytes);
  }
  int Fallocate(int fd, int mode, off_t offset_bytes, off_t size_bytes) override {
    return ::fallocate(fd, mode, offset_bytes, size_bytes);
  }
  int Ftruncate(int fd, off_t size_bytes) override { return ::ftruncate(fd, size_bytes); }
  int Fadvise(int fd, off_t offset_bytes, off_t size_bytes, int advice) override {
    return ::posix_fadvise(fd, offset_bytes, size_bytes, advice);
  }
  int SyncFileRange(int fd, off_t offset_bytes, off_t size_bytes, unsigned flags) override {
    return ::sync_file_range(fd, offset_bytes, size_bytes, flags);
  }
  int Fdatasync(int fd) override { return ::fdatasync(fd); }
  int Fsync(int fd) override { return ::fsync(fd); }
  int Flock(int fd, int operation) override { return ::flock(fd, operation); }

  int Fstat(int fd, struct stat* status) override { return ::fstat(fd, status); }
  int Stat(const char* path, struct stat* status) override { return ::stat(path, status); }
  int Lstat(const char* path, struct stat* status) override { return ::lstat(path, status); }
  int Statvfs(const char* path, struct statvfs* status) override { return ::statvfs(path, status); }
  int Access(const char* path, int mode) override { return ::access(path, mode); }
  int IsMountRoot(const char* path) override {
    struct statx status {};
    if (::statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status) != 0) return -1;
    if ((status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0) return -1;
    return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 ? 1 : 0;
  }
  std::string RealPath(const char* path) override {
    const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path, nullptr), &std::free);
    if (!resolved && errno == ENOMEM) throw std::bad_alloc();  // like any other allocation, not a defect of the path
    return resolved ? resolved.get() : "";
  }
  int ReadDirectory(const char* path, std::vector<std::string>* names) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path), &::closedir);
    if (!directory && errno == ENOMEM) throw std::bad_alloc();
    if (!directory) return -1;
    for (;;) {
      errno = 0;  // the end of a directory is known from an error only by errno, which an allocation may change
      const dirent* entry = ::readdir(directory.get());
      if (entry == nullptr) return errno == 0 ? 0 : -1;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names->emplace_back(name);
    }
  }

  int Mkdir(const char* path, mode_t mode) override { return ::mkdir(path, mode); }
  int Rmdir(const char* path) override { return ::rmdir(path); }
  int Unlink(const char* path) override { return ::unlink(path); }
  int Rename(const char* from, const char* to, unsigned flags) override {
    // Without flags the old call, which every file system has.
    return flags == 0 ? ::rename(from, to) : ::renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
  }
};

std::atomic<SystemCalls*>& Current() {
  static std::atomic<SystemCalls*> current{&KernelCalls()};
  return current;
}

}  // namespace

SystemCalls& KernelCalls() {
  static Kernel kernel;
  return kernel;
}

SystemCalls& Sys() { return *Current().load(std::memory_order_acquire); }

ReplacedSystemCalls::ReplacedSystemCalls(SystemCalls& calls) : before_(Sys()) { Current() = &calls; }
ReplacedSystemCalls::~ReplacedSystemCalls() { Current() = &before_; }

}  // namespace gpumerge
