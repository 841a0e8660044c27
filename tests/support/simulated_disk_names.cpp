// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Paths and names of the simulated disk: opening, looking, making, renaming and removing.
#include "tests/support/simulated_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <utility>

namespace gpumerge::test {
namespace {

int Fail(int error_number) {
  errno = error_number;
  return -1;
}

constexpr dev_t kDevice = 0x5d15c;

}  // namespace

bool SimulatedDisk::IsHere(const char* path) const {
  const std::string_view text = path;
  return text.starts_with(path_) && (text.size() == path_.size() || text[path_.size()] == '/');
}

// 0 or an errno value. Where only the last part is missing it is 0, and there is no node.
int SimulatedDisk::Walk(std::string_view path, Place* place) const {
  path.remove_prefix(path_.size());
  place->wants_directory = path.ends_with('/');
  std::vector<uint64_t> chain{SimulatedTree::kRoot};  // of nodes, the last may be a file or missing (0)
  std::string name;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string part(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty()) continue;
    if (chain.back() == 0) return ENOENT;
    if (!tree_.at(chain.back()).is_directory) return ENOTDIR;
    if (part == ".") continue;
    if (part == "..") {
      if (chain.size() > 1) chain.pop_back();
      continue;
    }
    if (part.size() > 255) return ENAMETOOLONG;
    name = part;
    chain.push_back(tree_.Find(chain.back(), part));
  }
  place->node = chain.back();
  chain.pop_back();
  place->chain = std::move(chain);
  place->name = place->chain.empty() ? "" : name;
  return 0;
}

int SimulatedDisk::Open(const char* path, int flags, mode_t mode) {
  return IsHere(path) ? OpenHere(path, flags) : KernelCalls().Open(path, flags, mode);
}

int SimulatedDisk::OpenHere(const std::string& path, int flags) {
  const bool creates = (flags & O_CREAT) != 0, writes = (flags & O_ACCMODE) != O_RDONLY;
  const Began began = Begin("Open", path, creates || (flags & O_TRUNC) != 0);
  if (began.Fails()) return -1;
  Place place;
  if (const int error_number = Walk(path, &place)) return Fail(error_number);
  const bool is_nameless = (flags & O_TMPFILE) == O_TMPFILE;
  if (creates && place.wants_directory) return Fail(EISDIR);
  if (place.node == 0) {
    if (!creates) return Fail(ENOENT);
    place.node = tree_.Create(false);
    tree_.ChangeNames({{place.chain.back(), place.name, 0, place.node}});
  } else if (creates && (flags & O_EXCL) != 0) {
    return Fail(EEXIST);
  } else if (is_nameless) {
    if (!tree_.at(place.node).is_directory) return Fail(ENOTDIR);
    place.node = tree_.Create(false);
  } else if (tree_.at(place.node).is_directory) {
    if (writes || creates) return Fail(EISDIR);
  } else {
    if (place.wants_directory || (flags & O_DIRECTORY) != 0) return Fail(ENOTDIR);
    if ((flags & O_TRUNC) != 0 && writes) tree_.Resize(place.node, 0);
  }
  ++tree_.at(place.node).n_opens;
  open_files_[next_fd_] = {place.node, flags, 0, path};
  return next_fd_++;
}

int SimulatedDisk::OpenBeneath(const char* root, const char* below, int flags) {
  if (!IsHere(root)) return KernelCalls().OpenBeneath(root, below, flags);
  const std::string_view text = below;
  const bool leaves = text.starts_with('/') || ("/" + std::string(text) + "/").find("/../") != std::string::npos;
  return leaves ? Fail(EXDEV) : OpenHere(std::string(root) + "/" + below, flags);
}

void SimulatedDisk::FillStatus(uint64_t node, struct stat* status) const {
  const Node& found = tree_.at(node);
  *status = {};
  status->st_dev = kDevice;
  status->st_ino = node;
  status->st_mode = found.is_directory ? S_IFDIR | 0755 : S_IFREG | 0644;
  status->st_uid = owner_;
  status->st_nlink = found.is_directory ? 2 : found.n_names;
  status->st_size = static_cast<off_t>(found.cached.size());
  status->st_blksize = 4096;
  status->st_mtim = status->st_ctim = {found.changed_ns / 1'000'000'000, found.changed_ns % 1'000'000'000};
}

int SimulatedDisk::Fstat(int fd, struct stat* status) {
  if (!IsHere(fd)) return KernelCalls().Fstat(fd, status);
  const Began began = Begin("Fstat", PathOf(fd), false);
  if (began.Fails()) return -1;
  const OpenFile* file = Find(fd);
  if (file == nullptr) return -1;
  FillStatus(file->node, status);
  return 0;
}

int SimulatedDisk::StatHere(std::string_view name, const char* path, struct stat* status) {
  const Began began = Begin(name, path, false);
  if (began.Fails()) return -1;
  Place place;
  if (const int error_number = Walk(path, &place)) return Fail(error_number);
  if (place.node == 0) return Fail(ENOENT);
  if (place.wants_directory && !tree_.at(place.node).is_directory) return Fail(ENOTDIR);
  if (status != nullptr) FillStatus(place.node, status);
  return 0;
}

int SimulatedDisk::Stat(const char* path, struct stat* status) {
  return IsHere(path) ? StatHere("Stat", path, status) : KernelCalls().Stat(path, status);
}
int SimulatedDisk::Lstat(const char* path, struct stat* status) {
  return IsHere(path) ? StatHere("Lstat", path, status) : KernelCalls().Lstat(path, status);
}
int SimulatedDisk::Access(const char* path, int mode) {
  return IsHere(path) ? StatHere("Access", path, nullptr) : KernelCalls().Access(path, mode);
}

int SimulatedDisk::Statvfs(const char* path, struct statvfs* status) {
  if (!IsHere(path)) return KernelCalls().Statvfs(path, status);
  if (StatHere("Statvfs", path, nullptr) != 0) return -1;
  const std::lock_guard guard(mutex_);
  *status = {};
  status->f_bsize = status->f_frsize = 1;
  status->f_namemax = 255;
  status->f_blocks = size_bytes_;
  status->f_bfree = status->f_bavail = size_bytes_ - std::min(size_bytes_, tree_.UsedBytes());
  return 0;
}

int SimulatedDisk::IsMountRoot(const char* path) {
  if (!IsHere(path)) return KernelCalls().IsMountRoot(path);
  if (StatHere("IsMountRoot", path, nullptr) != 0) return -1;
  const std::lock_guard guard(mutex_);
  Place place;
  return Walk(path, &place) == 0 && place.node == SimulatedTree::kRoot ? 1 : 0;
}

std::string SimulatedDisk::RealPath(const char* path) {
  if (!IsHere(path)) return KernelCalls().RealPath(path);
  if (StatHere("RealPath", path, nullptr) != 0) return "";
  std::vector<std::string> parts;
  for (std::string_view rest = std::string_view(path).substr(path_.size()); !rest.empty();) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part == ".." && !parts.empty()) parts.pop_back();
    if (!part.empty() && part != "." && part != "..") parts.emplace_back(part);
  }
  std::string resolved = path_;
  for (const std::string& part : parts) resolved += "/" + part;
  return resolved;
}

int SimulatedDisk::ReadDirectory(const char* path, std::vector<std::string>* names) {
  if (!IsHere(path)) return KernelCalls().ReadDirectory(path, names);
  const Began began = Begin("ReadDirectory", path, false);
  if (began.Fails()) return -1;
  Place place;
  if (const int error_number = Walk(path, &place)) return Fail(error_number);
  if (place.node == 0) return Fail(ENOENT);
  if (!tree_.at(place.node).is_directory) return Fail(ENOTDIR);
  for (const auto& [name, node] : tree_.at(place.node).cached_names) names->push_back(name);
  return 0;
}

int SimulatedDisk::Mkdir(const char* path, mode_t mode) {
  if (!IsHere(path)) return KernelCalls().Mkdir(path, mode);
  const Began began = Begin("Mkdir", path, true);
  if (began.Fails()) return -1;
  Place place;
  if (const int error_number = Walk(path, &place)) return Fail(error_number);
  if (place.node != 0) return Fail(EEXIST);
  tree_.ChangeNames({{place.chain.back(), place.name, 0, tree_.Create(true)}});
  return 0;
}

int SimulatedDisk::Rmdir(const char* path) {
  if (!IsHere(path)) return KernelCalls().Rmdir(path);
  const Began began = Begin("Rmdir", path, true);
  if (began.Fails()) return -1;
  Place place;
  if (const int error_number = Walk(path, &place)) return Fail(error_number);
  if (place.chain.empty()) return Fail(EBUSY);
  if (place.node == 0) return Fail(ENOENT);
  if (!tree_.at(place.node).is_directory) return Fail(ENOTDIR);
  if (!tree_.at(place.node).cached_names.empty()) return Fail(ENOTEMPTY);
  tree_.ChangeNames({{place.chain.back(), place.name, place.node, 0}});
  return 0;
}

int SimulatedDisk::Unlink(const char* path) {
  if (!IsHere(path)) return KernelCalls().Unlink(path);
  const Began began = Begin("Unlink", path, true);
  if (began.Fails()) return -1;
  Place place;
  if (const int error_number = Walk(path, &place)) return Fail(error_number);
  if (place.node == 0) return Fail(ENOENT);
  if (tree_.at(place.node).is_directory) return Fail(EISDIR);
  if (place.wants_directory) return Fail(ENOTDIR);
  tree_.ChangeNames({{place.chain.back(), place.name, place.node, 0}});
  return 0;
}

// 0 or an errno value, in the kernel's order.
int SimulatedDisk::CheckRename(const Place& from, const Place& to, unsigned flags) const {
  const bool exchanges = (flags & RENAME_EXCHANGE) != 0;
  if (from.chain.empty() || to.chain.empty()) return EBUSY;
  if (from.node == 0) return ENOENT;
  if ((flags & RENAME_NOREPLACE) != 0 && to.node != 0) return EEXIST;
  const auto contains = [](const std::vector<uint64_t>& chain, uint64_t node) {
    return std::find(chain.begin(), chain.end(), node) != chain.end();
  };
  const bool is_directory = tree_.at(from.node).is_directory;
  const bool replaces_directory = to.node != 0 && tree_.at(to.node).is_directory;
  if (exchanges && to.node == 0) return ENOENT;
  if (exchanges && to.wants_directory && !replaces_directory) return ENOTDIR;
  if (!is_directory && (from.wants_directory || (!exchanges && to.wants_directory))) return ENOTDIR;
  if (contains(to.chain, from.node)) return EINVAL;
  if (to.node != 0 && contains(from.chain, to.node)) return exchanges ? EINVAL : ENOTEMPTY;
  if (exchanges || to.node == 0 || to.node == from.node) return 0;
  if (is_directory && !replaces_directory) return ENOTDIR;
  if (!is_directory && replaces_directory) return EISDIR;
  return replaces_directory && !tree_.at(to.node).cached_names.empty() ? ENOTEMPTY : 0;
}

int SimulatedDisk::Rename(const char* from, const char* to, unsigned flags) {
  if (!IsHere(from) && !IsHere(to)) return KernelCalls().Rename(from, to, flags);
  const Began began = Begin("Rename", to, true);
  if (began.Fails()) return -1;
  if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE) return Fail(EINVAL);
  if (flags == RENAME_EXCHANGE && !has_exchange_) return Fail(EINVAL);
  if (!IsHere(from) || !IsHere(to)) return Fail(EXDEV);
  Place source, target;
  if (const int error_number = Walk(from, &source)) return Fail(error_number);
  if (const int error_number = Walk(to, &target)) return Fail(error_number);
  if (const int error_number = CheckRename(source, target, flags)) return Fail(error_number);
  if (source.node == target.node) return 0;
  if (!has_directory_rename_ && tree_.at(source.node).is_directory) return Fail(EXDEV);
  const uint64_t left = flags == RENAME_EXCHANGE ? target.node : 0;
  tree_.ChangeNames({{source.chain.back(), source.name, source.node, left},
                     {target.chain.back(), target.name, target.node, source.node}});
  return 0;
}

void SimulatedDisk::PutFile(const std::string& path, const std::string& contents) {
  const std::lock_guard guard(mutex_);
  for (size_t slash = path.find('/', path_.size() + 1); slash != path.npos; slash = path.find('/', slash + 1)) {
    Place place;
    if (Walk(path.substr(0, slash), &place) != 0 || place.node != 0) continue;
    tree_.ChangeNames({{place.chain.back(), place.name, 0, tree_.Create(true)}});
  }
  Place place;
  if (Walk(path, &place) != 0) return;
  if (place.node == 0) {
    place.node = tree_.Create(false);
    tree_.ChangeNames({{place.chain.back(), place.name, 0, place.node}});
  }
  tree_.Resize(place.node, 0);
  tree_.Write(place.node, 0, contents);
  tree_.SyncEverything();
}

std::map<std::string, std::string> SimulatedDisk::Files(const std::string& directory) const {
  const std::lock_guard guard(mutex_);
  std::map<std::string, std::string> files;
  Place place;
  if (Walk(directory, &place) != 0 || place.node == 0) return files;
  std::vector<std::pair<std::string, uint64_t>> directories{{"", place.node}};
  while (!directories.empty()) {
    const auto [prefix, node] = directories.back();
    directories.pop_back();
    for (const auto& [name, child] : tree_.at(node).cached_names) {
      if (tree_.at(child).is_directory) {
        files[prefix + name + "/"] = "";
        directories.emplace_back(prefix + name + "/", child);
      } else {
        files[prefix + name] = tree_.at(child).cached;
      }
    }
  }
  return files;
}

}  // namespace gpumerge::test
