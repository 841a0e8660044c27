// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Files of an output whose sizes are known before they are written: shards. Each is opened by its first write and
// closed by its last, so that any number of them can be made up front within the limit of open files. A file that
// cannot be made durable is removed: nobody can tell what the disk holds of it.
#pragma once

#include "src/base/file.h"

#include "gpumerge/options.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace gpumerge {

class SizedFiles {
 public:
  explicit SizedFiles(Sync sync) : sync_(sync) {}

  // Makes a file with its space reserved and returns its handle. Throws Error(OUT-SPACE, OUT-IO).
  int Create(std::string path, uint64_t size_bytes);
  // Goes on with one that Create made in an earlier run; bytes_to_write are not written yet, at least one.
  int Reopen(std::string path, uint64_t size_bytes, uint64_t bytes_to_write);
  // Writes all of it; thread-safe for disjoint ranges. Each byte must be written once: with the last one the file is
  // synced and closed. Throws Error(OUT-IO, OUT-FSYNC).
  void WriteAt(int handle, uint64_t offset_bytes, const void* data, size_t size_bytes);
  // Closes it until the next write. What was written is not durable before something else of the file is.
  void Close(int handle);
  // Makes durable what was written so far; not while another thread writes. Where that fails it goes on with the other
  // files, and then throws the first Error(OUT-FSYNC).
  void SyncAll();
  // Whether the file was removed because it could not be made durable.
  bool IsLost(int handle);
  // Throws Error(INTERNAL) unless every byte of every file was written.
  void CheckComplete() const;

 private:
  struct File {
    std::string path;
    uint64_t size_bytes = 0;
    std::atomic<uint64_t> written_bytes{0};
    std::atomic<bool> is_dirty{false}, is_lost{false};
    std::mutex opening;
    UniqueFd fd;
  };

  int Add(std::string path, uint64_t size_bytes, uint64_t written_bytes);
  File& At(int handle);
  void Finish(File* file);
  template <class Function>
  void OrLose(File* file, const Function& make_durable);

  const Sync sync_;
  std::mutex mutex_;  // of the list
  std::vector<std::unique_ptr<File>> files_;
};

}  // namespace gpumerge
