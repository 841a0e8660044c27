// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A disk in memory under one path, with power cuts, failing calls and a size limit, to be put under the unchanged
// program by ReplacedSystemCalls. Paths elsewhere go to the kernel. The path itself is a mount point. There are no
// symbolic links and no hard links on it. Thread-safe.
#pragma once

#include "src/base/system_calls.h"
#include "tests/support/simulated_tree.h"

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace gpumerge::test {

// A call on the disk, as it was made.
struct DiskCall {
  std::string name;  // of the function, e.g. "Pwrite"
  std::string path;
  bool is_change = false;  // of what is on the disk, or a sync
  uint64_t nth = 0;        // of this name on this path; 1 = the first

  bool IsSame(const DiskCall& other) const { return name == other.name && path == other.path && nth == other.nth; }
};

// What happens instead of, or to, a call.
struct DiskFault {
  uint64_t call = 0;     // which: 1 = the first
  DiskCall at{};         // or this one, wherever it comes: threads that read make no two runs have the same order
  int error_number = 0;  // it fails so; 0 = it reads or writes only half, at least one byte
  bool repeats = false;  // and so do all later calls of that name
  bool is_late = false;  // a sync: it did what it should, and fails; otherwise its data is lost, but still seen
};

class SimulatedDisk final : public SystemCalls {
 public:
  explicit SimulatedDisk(std::string path);

  // The disk after the power was cut now, or after the program was killed now: another disk, with no file open.
  std::unique_ptr<SimulatedDisk> AfterPowerCut(Unsynced unsynced, uint64_t seed) const;
  std::unique_ptr<SimulatedDisk> AfterKill() const;
  // The disk as it was when the first of the injected faults came; null when none has.
  std::unique_ptr<SimulatedDisk> AtFirstFault() const;
  // All that is there is durable.
  void SyncEverything();
  // From call number `call` on nothing changes any more and every call fails: the program can only give up.
  void StopAt(uint64_t call);
  // The same before the n-th change (1 = the first).
  void StopAtChange(uint64_t change);
  void Inject(const DiskFault& fault);
  // When that call has been made, a bit of a file is wrong from then on, unnoticed.
  void FlipAfter(const DiskCall& call, const std::string& path, uint64_t bit);
  // Calls that would need more fail with ENOSPC.
  void SetSize(uint64_t size_bytes);
  // As file systems without reserved space, or without exchanged names.
  void SetNoFallocate();
  void SetNoExchange();
  // Directories keep their names: EXDEV, as for those of a lower layer of overlayfs.
  void SetNoDirectoryRename();
  // Of all that is there; at first this process's.
  void SetOwner(uid_t owner);
  // Called before each call, without locks held; may not make calls on this disk.
  void SetHook(std::function<void(uint64_t call)> hook);

  std::vector<DiskCall> calls() const;
  uint64_t UsedBytes() const;
  // The files below a directory as programs see them: path from there -> contents; directories end in "/".
  std::map<std::string, std::string> Files(const std::string& directory) const;
  // Puts a file there (and missing directories), durable, without a call.
  void PutFile(const std::string& path, const std::string& contents);

  int Open(const char* path, int flags, mode_t mode) override;
  int OpenBeneath(const char* root, const char* below, int flags) override;
  int Close(int fd) override;
  ssize_t Pread(int fd, void* data, size_t size_bytes, off_t offset_bytes) override;
  ssize_t Pwrite(int fd, const void* data, size_t size_bytes, off_t offset_bytes) override;
  int Fallocate(int fd, int mode, off_t offset_bytes, off_t size_bytes) override;
  int Ftruncate(int fd, off_t size_bytes) override;
  int Fadvise(int fd, off_t offset_bytes, off_t size_bytes, int advice) override;
  int SyncFileRange(int fd, off_t offset_bytes, off_t size_bytes, unsigned flags) override;
  int Fdatasync(int fd) override;
  int Fsync(int fd) override;
  int Flock(int fd, int operation) override;
  int Fstat(int fd, struct stat* status) override;
  int Stat(const char* path, struct stat* status) override;
  int Lstat(const char* path, struct stat* status) override;
  int Statvfs(const char* path, struct statvfs* status) override;
  int Access(const char* path, int mode) override;
  int IsMountRoot(const char* path) override;
  std::string RealPath(const char* path) override;
  int ReadDirectory(const char* path, std::vector<std::string>* names) override;
  int Mkdir(const char* path, mode_t mode) override;
  int Rmdir(const char* path) override;
  int Unlink(const char* path) override;
  int Rename(const char* from, const char* to, unsigned flags) override;

 private:
  struct OpenFile {
    uint64_t node = 0;
    int flags = 0;
    int lock = 0;  // LOCK_SH, LOCK_EX or 0
    std::string path;
  };
  // Where a path leads: the directory of its last part, and what has that name there (0 = nothing).
  struct Place {
    std::vector<uint64_t> chain;  // the directories on the way, the disk's own first; empty = the disk's own path
    std::string name;
    uint64_t node = 0;
    bool wants_directory = false;  // the path ends in "/"
  };
  struct Began {
    std::unique_lock<std::mutex> lock;
    std::optional<DiskFault> fault;
    bool is_stopped = false;
    // Sets errno where the call fails now.
    bool Fails() const;
  };

  SimulatedDisk(std::string path, SimulatedTree tree);
  bool IsHere(const char* path) const;
  static bool IsHere(int fd) { return fd >= kFirstFd; }
  Began Begin(std::string_view name, const std::string& path, bool is_change);
  std::string PathOf(int fd) const;
  OpenFile* Find(int fd);
  int Walk(std::string_view path, Place* place) const;
  int OpenHere(const std::string& path, int flags);
  int SyncHere(std::string_view name, int fd);
  int StatHere(std::string_view name, const char* path, struct stat* status);
  int CheckRename(const Place& from, const Place& to, unsigned flags) const;
  bool Fits(uint64_t node, uint64_t size_bytes) const;
  void Flip();
  void FillStatus(uint64_t node, struct stat* status) const;
  bool Conflicts(const OpenFile& file, int lock) const;

  static constexpr int kFirstFd = 1 << 28;

  const std::string path_;
  mutable std::mutex mutex_;
  std::condition_variable unlocked_;
  SimulatedTree tree_;
  std::map<int, OpenFile> open_files_;
  int next_fd_ = kFirstFd;
  std::vector<DiskCall> calls_;
  std::vector<DiskFault> faults_;
  struct Flipped {
    DiskCall after;
    std::string path;
    uint64_t bit = 0;
    bool is_due = false;
  };
  std::optional<Flipped> flipped_;
  std::optional<SimulatedTree> at_first_fault_;
  std::set<std::string> failing_;                                   // names of calls that fail from now on
  std::map<std::pair<std::string, std::string>, uint64_t> counts_;  // of calls by name and path
  uint64_t n_changes_ = 0;
  uint64_t stop_at_ = UINT64_MAX, stop_at_change_ = UINT64_MAX;
  bool is_stopped_ = false;
  uint64_t size_bytes_ = uint64_t{1} << 40;
  bool has_fallocate_ = true, has_exchange_ = true, has_directory_rename_ = true;
  uid_t owner_ = ::geteuid();
  std::function<void(uint64_t)> hook_;
};

}  // namespace gpumerge::test
