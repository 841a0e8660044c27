// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Every system call that changes names on the output's disk, or makes it durable: one place to inject faults into, and
// to extend. Failures throw Error(OUT-IO) naming the path, unless said otherwise. Thread-safe.
#pragma once

#include "src/base/file.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge {

std::string Join(const std::string& directory, const std::string& name);

// A new file for writing; the mode follows the umask, and nothing that exists is opened.
UniqueFd CreateNewFile(const std::string& path);
// The whole of a file that an earlier run left.
std::string ReadOwnFile(const std::string& path, uint64_t max_bytes);
UniqueFd OpenForWriting(const std::string& path);
// Sets the size and reserves the space, so that a full disk shows now. Where the file system cannot reserve, only the
// size is set. Throws Error(OUT-SPACE) when there is no room or quota.
void ReserveSpace(int fd, uint64_t size_bytes, const std::string& path);
// For a file that will grow to about that size, which it does not have yet. Throws Error(OUT-SPACE).
void ReserveToGrow(int fd, uint64_t size_bytes, const std::string& path);
// Asks the system to begin writing what was just written to the disk, so that SyncFile has less to wait for. Promises
// nothing, and what goes wrong is SyncFile's to say.
void BeginWriteback(int fd, uint64_t offset_bytes, uint64_t size_bytes);
// Throw Error(OUT-FSYNC).
void SyncFile(int fd, const std::string& path);
void SyncDirectory(const std::string& path);
void MakeDirectory(const std::string& path);
// Makes the missing parents too and returns the directories made, outermost first.
std::vector<std::string> MakeDirectories(const std::string& path);
// Removes a file, link or tree (never following links); it need not exist.
void RemoveTree(const std::string& path);
void RemoveFile(const std::string& path);  // it need not exist
void RenameFile(const std::string& from, const std::string& to);

enum class Renamed : uint8_t {
  kDone,
  kExists,      // `to` is a directory that is not empty, or no directory
  kImpossible,  // for these directories or this file system
};
// A directory replaces only nothing or an empty directory.
Renamed RenameDirectory(const std::string& from, const std::string& to);
// Swaps two names at once.
Renamed ExchangeNames(const std::string& a, const std::string& b);
// Renames each pair's first to its second, in order; when one fails, those done are undone in reverse order.
void MoveAll(const std::vector<std::pair<std::string, std::string>>& moves);

// Keeps other runs from writing the same output, as long as it lives. The kernel drops it when the process dies,
// however it dies. The lock file is removed with it.
class OutputLock {
 public:
  // Throws Error(OUT-LOCKED) when another run has it.
  explicit OutputLock(std::string path);
  ~OutputLock();
  OutputLock(const OutputLock&) = delete;
  OutputLock& operator=(const OutputLock&) = delete;

  // False on a file system without locks.
  bool is_held() const { return is_held_; }

 private:
  std::string path_;
  UniqueFd fd_;
  bool is_held_ = false;
};

}  // namespace gpumerge
