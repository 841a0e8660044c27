// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/cpu/worker_pool.h"

#include <utility>

namespace gpumerge {

WorkerPool::WorkerPool(uint32_t n_workers) {
  try {
    for (uint32_t worker = 1; worker < n_workers; ++worker) threads_.emplace_back([this, worker] { Loop(worker); });
  } catch (...) {  // no more threads to be had: end those that run before the vector goes
    Stop();
    throw;
  }
}

WorkerPool::~WorkerPool() { Stop(); }

void WorkerPool::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Run(uint64_t n_tasks, const std::function<void(uint64_t, uint32_t)>& task) {
  task_ = &task;
  n_tasks_ = n_tasks;
  next_ = 0;
  const bool share = n_tasks > 1 && !threads_.empty();  // waking the others costs more than one task
  if (share) {
    const std::lock_guard lock(mutex_);
    running_ = static_cast<uint32_t>(threads_.size());
    ++round_;
    start_.notify_all();
  }
  Share(0);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return running_ == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void WorkerPool::Loop(uint32_t worker) {
  uint64_t seen = 0;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, [&] { return stop_ || round_ != seen; });
      if (stop_) return;
      seen = round_;
    }
    Share(worker);
    const std::lock_guard lock(mutex_);
    if (--running_ == 0) done_.notify_one();
  }
}

void WorkerPool::Share(uint32_t worker) {
  try {
    for (uint64_t number = next_++; number < n_tasks_; number = next_++) (*task_)(number, worker);
  } catch (...) {
    next_ = n_tasks_;  // the others take no more
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

}  // namespace gpumerge
