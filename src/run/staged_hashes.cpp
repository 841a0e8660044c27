// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Each thread takes the next tensor and reads it in pieces that are hashed while still in the processor's cache.
#include "src/run/staged_hashes.h"

#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/base/system_calls.h"
#include "src/base/trace_range.h"

#include "gpumerge/error.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <fcntl.h>
#include <mutex>
#include <thread>

namespace gpumerge {
namespace {

constexpr uint64_t kPieceBytes = uint64_t{1} << 20;
constexpr uint64_t kPageBytes = 4096;
constexpr auto kReportInterval = std::chrono::milliseconds(100);

class Reading {
 public:
  Reading(const Plan& plan, const std::string& directory, const std::vector<uint64_t>& items)
      : plan_(plan), directory_(directory), items_(items), hashes_(items.size()) {}

  std::vector<std::string> Run(uint32_t n_threads, const std::function<void(uint64_t bytes)>& report) {
    std::vector<std::thread> threads;
    try {
      for (uint32_t i = 0; i < std::max(1u, n_threads); ++i) Start(&threads);
      Wait(report);
    } catch (...) {
      stops_ = true;
      for (std::thread& thread : threads) thread.join();
      throw;
    }
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    return std::move(hashes_);
  }

 private:
  void Start(std::vector<std::thread>* threads) {
    const std::lock_guard lock(mutex_);
    const auto number = static_cast<uint32_t>(threads->size());
    threads->emplace_back([this, number] { Work(number); });
    ++n_running_;
  }

  void Wait(const std::function<void(uint64_t bytes)>& report) {
    std::unique_lock lock(mutex_);
    while (!ended_.wait_for(lock, kReportInterval, [&] { return n_running_ == 0; })) {
      lock.unlock();
      report(bytes_);
      lock.lock();
    }
    lock.unlock();
    report(bytes_);
  }

  void Work(uint32_t number) {
    TraceLog::Get().NameThread("checker", number);
    std::exception_ptr failure;
    try {
      HashNext();
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    if (failure) failure_ = failure;
    --n_running_;
    ended_.notify_all();
  }

  void HashNext() {
    std::vector<std::byte> piece(kPieceBytes);
    UniqueFd fd;
    const PlanShard* shard = nullptr;
    for (size_t i = next_++; i < items_.size() && !stops_; i = next_++) {
      const PlanItem& item = plan_.items[items_[i]];
      try {
        const std::string path = directory_ + "/" + plan_.shards[item.shard].file_name;
        if (shard != &plan_.shards[item.shard]) {
          fd = OpenRegular(path);
          Sys().Fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);  // reads further ahead
        }
        shard = &plan_.shards[item.shard];
        hashes_[i] = HashOne(fd.get(), item, path, &piece);
      } catch (const Error&) {  // an empty hash is no tensor's
        shard = nullptr;
      }
    }
  }

  std::string HashOne(int fd, const PlanItem& item, const std::string& path, std::vector<std::byte>* piece) {
    const uint64_t begin = item.offset_bytes / kPageBytes * kPageBytes;
    const uint64_t size_bytes = item.offset_bytes + item.size_bytes - begin;
    const TraceRange trace("check", {.tensor = item.name, .bytes = item.size_bytes});
    Sys().Fadvise(fd, static_cast<off_t>(begin), static_cast<off_t>(size_bytes), POSIX_FADV_DONTNEED);
    ContentHash hash;
    for (uint64_t done = 0; done < item.size_bytes && !stops_; done += piece->size()) {
      const uint64_t bytes = std::min<uint64_t>(piece->size(), item.size_bytes - done);
      ReadFully(fd, item.offset_bytes + done, piece->data(), bytes, path);
      hash.Update(piece->data(), bytes);
      bytes_ += bytes;
    }
    return hash.Hex();
  }

  const Plan& plan_;
  const std::string& directory_;
  const std::vector<uint64_t>& items_;
  std::vector<std::string> hashes_;  // (n_items), each written by one thread
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<bool> stops_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  uint32_t n_running_ = 0;
  std::exception_ptr failure_;
};

}  // namespace

std::vector<std::string> HashStaged(const Plan& plan, const std::string& directory, const std::vector<uint64_t>& items,
                                    uint32_t n_threads, const std::function<void(uint64_t bytes)>& report) {
  return Reading(plan, directory, items).Run(n_threads, report);
}

}  // namespace gpumerge
