// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Files and directories in memory, each twice: as programs see them (cached) and as a power cut leaves them (durable).
// What makes one the other are syncs; what a disk may do without being asked is chosen by AfterPowerCut(). A value: a
// copy is another disk. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace gpumerge::test {

// What becomes of writes and directory operations that no sync has made durable.
enum class Unsynced {
  kDropAll,
  kKeepAll,
  kKeepSome,  // each sector of each write, and each operation on names, or not: in no order
};

struct FileChange {
  bool is_resize = false;
  uint64_t offset_bytes = 0;  // of a resize: the new size
  std::string bytes;
};

struct Node {
  bool is_directory = false;
  int64_t changed_ns = 0;
  uint32_t n_names = 0;  // of a file: in cached directories
  uint32_t n_opens = 0;
  std::string cached, durable;  // of a file
  std::vector<FileChange> unsynced;
  std::map<std::string, uint64_t> cached_names, durable_names;  // of a directory: to the numbers of nodes
};

// One name of one directory before and after an operation; 0 = no such name.
struct NameChange {
  uint64_t directory = 0;
  std::string name;
  uint64_t before = 0, after = 0;
};

class SimulatedTree {
 public:
  static constexpr uint64_t kRoot = 1;
  // What a disk writes as a whole; small, so that small files are torn too.
  static constexpr uint64_t kSectorBytes = 16;

  SimulatedTree();

  Node& at(uint64_t node) { return nodes_.at(node); }
  const Node& at(uint64_t node) const { return nodes_.at(node); }
  // 0 = no such name.
  uint64_t Find(uint64_t directory, const std::string& name) const;

  // A node without a name.
  uint64_t Create(bool is_directory);
  // All of them or, after a power cut, none.
  void ChangeNames(std::vector<NameChange> changes);
  void Write(uint64_t file, uint64_t offset_bytes, const std::string& bytes);
  void Resize(uint64_t file, uint64_t size_bytes);

  void SyncFile(uint64_t file);
  // What was not durable never will be, but programs go on seeing it.
  void LoseUnsynced(uint64_t file);
  // The names in it, with what they depend on. Not what the files hold.
  void SyncDirectory(uint64_t directory);
  void SyncEverything();

  // Bytes of files that have a name or are open.
  uint64_t UsedBytes() const;

  SimulatedTree AfterPowerCut(Unsynced unsynced, uint64_t seed) const;

 private:
  using NameOperation = std::vector<NameChange>;  // atomic

  bool MakeDurable(const NameOperation& operation);
  void CountNames();

  std::map<uint64_t, Node> nodes_;
  uint64_t last_node_ = kRoot;
  int64_t clock_ns_ = 1'700'000'000'000'000'000;
  std::vector<NameOperation> unsynced_names_;
};

}  // namespace gpumerge::test
