// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Descriptors, reading, writing, syncs and locks, with the errors that Linux gives for them on tmpfs. Paths and names
// are in simulated_disk_names.cpp.
#include "tests/support/simulated_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <utility>

namespace gpumerge::test {
namespace {

int Fail(int error_number) {
  errno = error_number;
  return -1;
}

bool IsWritable(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }
bool IsReadable(int flags) { return (flags & O_ACCMODE) != O_WRONLY; }

}  // namespace

SimulatedDisk::SimulatedDisk(std::string path) : path_(std::move(path)) {}
SimulatedDisk::SimulatedDisk(std::string path, SimulatedTree tree) : path_(std::move(path)), tree_(std::move(tree)) {}

std::unique_ptr<SimulatedDisk> SimulatedDisk::AfterPowerCut(Unsynced unsynced, uint64_t seed) const {
  const std::lock_guard guard(mutex_);
  std::unique_ptr<SimulatedDisk> after(new SimulatedDisk(path_, tree_.AfterPowerCut(unsynced, seed)));
  after->next_fd_ = next_fd_;  // what the program had open is nothing there
  return after;
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::AfterKill() const {
  const std::lock_guard guard(mutex_);
  std::unique_ptr<SimulatedDisk> after(new SimulatedDisk(path_, tree_));
  for (const auto& [fd, file] : open_files_) --after->tree_.at(file.node).n_opens;
  after->next_fd_ = next_fd_;
  return after;
}

std::unique_ptr<SimulatedDisk> SimulatedDisk::AtFirstFault() const {
  const std::lock_guard guard(mutex_);
  return std::unique_ptr<SimulatedDisk>(at_first_fault_ ? new SimulatedDisk(path_, *at_first_fault_) : nullptr);
}

void SimulatedDisk::SyncEverything() {
  const std::lock_guard guard(mutex_);
  tree_.SyncEverything();
}

void SimulatedDisk::StopAt(uint64_t call) {
  const std::lock_guard guard(mutex_);
  stop_at_ = call;
}

void SimulatedDisk::StopAtChange(uint64_t change) {
  const std::lock_guard guard(mutex_);
  stop_at_change_ = change;
}

void SimulatedDisk::Inject(const DiskFault& fault) {
  const std::lock_guard guard(mutex_);
  faults_.push_back(fault);
}

void SimulatedDisk::FlipAfter(const DiskCall& call, const std::string& path, uint64_t bit) {
  const std::lock_guard guard(mutex_);
  flipped_ = {call, path, bit, false};
}

// Before the first call that follows.
void SimulatedDisk::Flip() {
  Place place;
  if (Walk(flipped_->path, &place) == 0 && place.node != 0) {
    Node& node = tree_.at(place.node);
    for (std::string* contents : {&node.cached, &node.durable}) {
      char& byte = contents->at(flipped_->bit / 8);
      byte = static_cast<char>(byte ^ (1 << (flipped_->bit % 8)));
    }
  }
  flipped_.reset();
}

void SimulatedDisk::SetSize(uint64_t size_bytes) {
  const std::lock_guard guard(mutex_);
  size_bytes_ = size_bytes;
}

void SimulatedDisk::SetNoFallocate() { has_fallocate_ = false; }
void SimulatedDisk::SetNoExchange() { has_exchange_ = false; }
void SimulatedDisk::SetNoDirectoryRename() { has_directory_rename_ = false; }
void SimulatedDisk::SetOwner(uid_t owner) { owner_ = owner; }
void SimulatedDisk::SetHook(std::function<void(uint64_t)> hook) { hook_ = std::move(hook); }

std::vector<DiskCall> SimulatedDisk::calls() const {
  const std::lock_guard guard(mutex_);
  return calls_;
}

uint64_t SimulatedDisk::UsedBytes() const {
  const std::lock_guard guard(mutex_);
  return tree_.UsedBytes();
}

bool SimulatedDisk::Began::Fails() const {
  if (!fault || fault->error_number == 0) return false;
  errno = fault->error_number;
  return true;
}

SimulatedDisk::Began SimulatedDisk::Begin(std::string_view name, const std::string& path, bool is_change) {
  std::unique_lock lock(mutex_);
  calls_.push_back({std::string(name), path, is_change, ++counts_[{std::string(name), path}]});
  const DiskCall this_call = calls_.back();
  const uint64_t call = calls_.size();
  if (flipped_ && flipped_->is_due) Flip();
  if (flipped_) flipped_->is_due = flipped_->after.IsSame(this_call);
  n_changes_ += is_change ? 1 : 0;
  is_stopped_ = is_stopped_ || call >= stop_at_ || n_changes_ >= stop_at_change_;
  if (hook_) {
    lock.unlock();
    hook_(call);
    lock.lock();
  }
  if (is_stopped_) return {std::move(lock), DiskFault{.call = call, .error_number = EIO}, true};
  for (const DiskFault& fault : faults_) {
    const bool is_due = fault.call == call || fault.at.IsSame(this_call);
    if (is_due && !at_first_fault_) at_first_fault_ = tree_;
    if (is_due && fault.repeats) failing_.insert(this_call.name);
    if (is_due || (fault.repeats && failing_.contains(this_call.name))) return {std::move(lock), fault, false};
  }
  return {std::move(lock), std::nullopt, false};
}

std::string SimulatedDisk::PathOf(int fd) const {
  const std::lock_guard guard(mutex_);
  const auto found = open_files_.find(fd);
  return found == open_files_.end() ? "" : found->second.path;
}

SimulatedDisk::OpenFile* SimulatedDisk::Find(int fd) {
  const auto found = open_files_.find(fd);
  if (found != open_files_.end()) return &found->second;
  errno = EBADF;
  return nullptr;
}

// Whether the file may become that large.
bool SimulatedDisk::Fits(uint64_t node, uint64_t size_bytes) const {
  const uint64_t own = tree_.at(node).cached.size();
  return size_bytes <= own || tree_.UsedBytes() - own + size_bytes <= size_bytes_;
}

int SimulatedDisk::Close(int fd) {
  if (!IsHere(fd)) return KernelCalls().Close(fd);
  const Began began = Begin("Close", PathOf(fd), false);
  const OpenFile* file = Find(fd);
  if (file == nullptr) return -1;
  // Linux lets go of the descriptor whatever close() says.
  --tree_.at(file->node).n_opens;
  open_files_.erase(fd);
  unlocked_.notify_all();
  return began.Fails() ? -1 : 0;
}

ssize_t SimulatedDisk::Pread(int fd, void* data, size_t size_bytes, off_t offset_bytes) {
  if (!IsHere(fd)) return KernelCalls().Pread(fd, data, size_bytes, offset_bytes);
  const Began began = Begin("Pread", PathOf(fd), false);
  if (began.Fails()) return -1;
  if (offset_bytes < 0) return Fail(EINVAL);
  const OpenFile* file = Find(fd);
  if (file == nullptr) return -1;
  if (!IsReadable(file->flags)) return Fail(EBADF);
  if (tree_.at(file->node).is_directory) return Fail(EISDIR);
  const std::string& contents = tree_.at(file->node).cached;
  const auto from = std::min(static_cast<size_t>(offset_bytes), contents.size());
  size_t n_bytes = std::min(size_bytes, contents.size() - from);
  if (began.fault) n_bytes = std::min(n_bytes, std::max<size_t>(1, n_bytes / 2));
  std::memcpy(data, contents.data() + from, n_bytes);
  return static_cast<ssize_t>(n_bytes);
}

ssize_t SimulatedDisk::Pwrite(int fd, const void* data, size_t size_bytes, off_t offset_bytes) {
  if (!IsHere(fd)) return KernelCalls().Pwrite(fd, data, size_bytes, offset_bytes);
  const Began began = Begin("Pwrite", PathOf(fd), true);
  if (began.Fails()) return -1;
  if (offset_bytes < 0) return Fail(EINVAL);
  const OpenFile* file = Find(fd);
  if (file == nullptr) return -1;
  if (!IsWritable(file->flags)) return Fail(EBADF);
  if (size_bytes == 0) return 0;
  const size_t own_bytes = tree_.at(file->node).cached.size();
  const size_t offset = (file->flags & O_APPEND) != 0 ? own_bytes : static_cast<size_t>(offset_bytes);
  size_t n_bytes = began.fault ? std::max<size_t>(1, size_bytes / 2) : size_bytes;
  if (!Fits(file->node, offset + n_bytes)) {
    // As much as there is room for.
    const size_t room = static_cast<size_t>(size_bytes_ - std::min(size_bytes_, tree_.UsedBytes())) + own_bytes;
    if (room <= offset) return Fail(ENOSPC);
    n_bytes = std::min(n_bytes, room - offset);
  }
  tree_.Write(file->node, offset, std::string(static_cast<const char*>(data), n_bytes));
  return static_cast<ssize_t>(n_bytes);
}

int SimulatedDisk::Fallocate(int fd, int mode, off_t offset_bytes, off_t size_bytes) {
  if (!IsHere(fd)) return KernelCalls().Fallocate(fd, mode, offset_bytes, size_bytes);
  const Began began = Begin("Fallocate", PathOf(fd), true);
  if (began.Fails()) return -1;
  const OpenFile* file = Find(fd);
  if (file == nullptr) return -1;
  if (offset_bytes < 0 || size_bytes <= 0) return Fail(EINVAL);
  const bool is_hole = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  if (mode != 0 && !is_hole) return Fail(EOPNOTSUPP);
  if (!IsWritable(file->flags)) return Fail(EBADF);
  if (!has_fallocate_) return Fail(EOPNOTSUPP);
  const auto begin = static_cast<size_t>(offset_bytes), end = begin + static_cast<size_t>(size_bytes);
  const size_t own_bytes = tree_.at(file->node).cached.size();
  if (is_hole) {
    if (begin < own_bytes) tree_.Write(file->node, begin, std::string(std::min(end, own_bytes) - begin, '\0'));
    return 0;
  }
  if (!Fits(file->node, end)) return Fail(ENOSPC);
  if (end > own_bytes) tree_.Resize(file->node, end);
  return 0;
}

int SimulatedDisk::Ftruncate(int fd, off_t size_bytes) {
  if (!IsHere(fd)) return KernelCalls().Ftruncate(fd, size_bytes);
  const Began began = Begin("Ftruncate", PathOf(fd), true);
  if (began.Fails()) return -1;
  if (size_bytes < 0) return Fail(EINVAL);
  const OpenFile* file = Find(fd);
  if (file == nullptr) return -1;
  if (!IsWritable(file->flags)) return Fail(EINVAL);
  if (!Fits(file->node, static_cast<size_t>(size_bytes))) return Fail(ENOSPC);
  tree_.Resize(file->node, static_cast<size_t>(size_bytes));
  return 0;
}

int SimulatedDisk::Fadvise(int fd, off_t offset_bytes, off_t size_bytes, int advice) {
  if (!IsHere(fd)) return KernelCalls().Fadvise(fd, offset_bytes, size_bytes, advice);
  const Began began = Begin("Fadvise", PathOf(fd), false);
  if (began.Fails()) return errno;
  return Find(fd) == nullptr ? EBADF : 0;
}

// Promises nothing: what it writes a power cut may take away all the same.
int SimulatedDisk::SyncFileRange(int fd, off_t offset_bytes, off_t size_bytes, unsigned flags) {
  if (!IsHere(fd)) return KernelCalls().SyncFileRange(fd, offset_bytes, size_bytes, flags);
  const Began began = Begin("SyncFileRange", PathOf(fd), false);
  return began.Fails() || Find(fd) == nullptr ? -1 : 0;
}

int SimulatedDisk::Fdatasync(int fd) { return IsHere(fd) ? SyncHere("Fdatasync", fd) : KernelCalls().Fdatasync(fd); }
int SimulatedDisk::Fsync(int fd) { return IsHere(fd) ? SyncHere("Fsync", fd) : KernelCalls().Fsync(fd); }

int SimulatedDisk::SyncHere(std::string_view name, int fd) {
  const Began began = Begin(name, PathOf(fd), true);
  const OpenFile* file = Find(fd);
  if (file == nullptr) return -1;
  const bool is_directory = tree_.at(file->node).is_directory;
  const bool fails = began.Fails();
  const bool is_done = !fails || (began.fault->is_late && !began.is_stopped);
  if (is_done && is_directory) tree_.SyncDirectory(file->node);
  if (is_done && !is_directory) tree_.SyncFile(file->node);
  // An interrupted sync may be asked for again.
  const bool is_lost = !is_done && !began.is_stopped && began.fault->error_number != EINTR;
  if (is_lost && !is_directory) tree_.LoseUnsynced(file->node);
  return fails ? Fail(began.fault->error_number) : 0;
}

bool SimulatedDisk::Conflicts(const OpenFile& file, int lock) const {
  return std::any_of(open_files_.begin(), open_files_.end(), [&](const auto& entry) {
    const OpenFile& other = entry.second;
    return &other != &file && other.node == file.node && other.lock != 0 && (other.lock == LOCK_EX || lock == LOCK_EX);
  });
}

int SimulatedDisk::Flock(int fd, int operation) {
  if (!IsHere(fd)) return KernelCalls().Flock(fd, operation);
  Began began = Begin("Flock", PathOf(fd), false);
  if (began.Fails()) return -1;
  OpenFile* file = Find(fd);
  if (file == nullptr) return -1;
  const int lock = operation & ~LOCK_NB;
  if (lock != LOCK_EX && lock != LOCK_SH && lock != LOCK_UN) return Fail(EINVAL);
  // A lock that is changed is given back first.
  file->lock = 0;
  unlocked_.notify_all();
  if (lock == LOCK_UN) return 0;
  if ((operation & LOCK_NB) != 0 && Conflicts(*file, lock)) return Fail(EWOULDBLOCK);
  unlocked_.wait(began.lock, [&] { return !Conflicts(*file, lock); });
  file->lock = lock;
  return 0;
}

}  // namespace gpumerge::test
