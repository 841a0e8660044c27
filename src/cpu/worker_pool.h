// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A fixed set of threads that share out the tasks of one job at a time. The thread that calls Run is worker 0.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace gpumerge {

class WorkerPool {
 public:
  explicit WorkerPool(uint32_t n_workers);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  uint32_t n_workers() const { return static_cast<uint32_t>(threads_.size()) + 1; }

  // Calls task(number, worker) for every number below n_tasks, in any order, on all workers; returns when all are done.
  // The first exception is rethrown after the others have stopped. Not reentrant.
  void Run(uint64_t n_tasks, const std::function<void(uint64_t number, uint32_t worker)>& task);

 private:
  void Stop();
  void Loop(uint32_t worker);
  void Share(uint32_t worker);

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  uint64_t round_ = 0;    // guarded by mutex_
  uint32_t running_ = 0;  // guarded by mutex_
  bool stop_ = false;     // guarded by mutex_
  const std::function<void(uint64_t, uint32_t)>* task_ = nullptr;
  uint64_t n_tasks_ = 0;
  std::atomic<uint64_t> next_{0};
  std::exception_ptr failure_;  // guarded by mutex_
};

}  // namespace gpumerge
