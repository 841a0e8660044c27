// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How to run a merge. Nothing here changes an output byte: what does is a key of the recipe (MergeConfig).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace gpumerge {

enum class Device : uint8_t {
  kAuto,       // the GPUs if there are any that work, else the CPU
  kCpu,        // threads and SIMD
  kReference,  // scalar and obviously right; for validation
  kCuda,       // GPUs only
  kHybrid,     // GPUs, and the CPU for what the links cannot feed
};

// How files are read.
enum class Io : uint8_t {
  kAuto,   // several threads; the kernel is asked for what comes next of files that are not in the page cache
  kPread,  // several threads, and only what is needed now
  kSync,   // one thing at a time, always in the same order: to look for faults
};

enum class Sync : uint8_t { kFull, kNone };  // fsync before publishing, or leave it to the kernel

// What becomes of the work of an interrupted run of the same merge.
enum class Resume : uint8_t {
  kCheck,  // go on; finished tensors are read again and hashed
  kTrust,  // go on
  kNever,  // begin anew
};

// What is done with the complete output before it is published.
enum class Verify : uint8_t {
  kFull,    // read again and hashed
  kHeader,  // only its structure is checked
};

// Where models are found, and how strict to be.
struct PlanOptions {
  std::string output_dir;        // overrides the recipe's `output:`; "" = not given
  std::string hub_cache;         // overrides the environment's Hugging Face cache; "" = not given
  bool strict = false;           // warnings become errors
  bool follow_symlinks = false;  // links in a local model's directory may lead anywhere
  bool ignore_unlisted = false;  // tensors in shards that the index does not list are left out, with a warning
  bool copy_code = false;        // the donor's Python files go with the output; they are never run
  bool overwrite = false;        // an existing output may be replaced
  bool stages_are_kept = false;  // the plan is not run itself, but its documents one by one (see SplitStages)
};

struct Progress {
  uint64_t tensors_done = 0, tensors_total = 0;
  uint64_t tensors_resumed = 0;  // of those done, by an interrupted run; their bytes count nowhere else
  uint64_t bytes_resumed = 0;
  uint64_t bytes_read = 0, bytes_to_read = 0;
  uint64_t elems_computed = 0;
  uint64_t bytes_written = 0, bytes_to_write = 0;
  double read_seconds = 0, compute_seconds = 0, write_seconds = 0;  // busy time of each stage, summed over its threads
  double elapsed_seconds = 0;
  uint64_t memory_bytes = 0;  // resident now, page cache not counted
  // Reading what is written: of an interrupted run before the merge, of the whole output after it.
  enum class Phase : uint8_t { kMerging, kResuming, kVerifying } phase = Phase::kMerging;
  uint64_t bytes_checked = 0, bytes_to_check = 0;
};

struct RunOptions {
  Device device = Device::kAuto;
  std::vector<uint32_t> gpus;            // for kCuda: which; empty = all that work
  std::optional<uint64_t> vram_bytes;    // promise, for each GPU. Default: nine tenths of what is free
  std::optional<uint64_t> pinned_bytes;  // the most staging memory that is pinned for GPUs; part of memory_bytes
  double selfcheck_percent = 0;          // of the tensors, computed again by the reference executor and compared
  uint32_t threads = 0;                  // compute threads; 0 = one for each usable core
  std::string cpu_isa;                   // of the CPU's code: "x86-64-v2", ...; "" = the best that works here
  std::optional<uint64_t> memory_bytes;  // promise: anonymous memory of the process. Default: see DefaultMemoryBytes
  Io io = Io::kAuto;
  Sync sync = Sync::kFull;
  Resume resume = Resume::kCheck;
  Verify verify = Verify::kFull;
  bool overwrite = false;
  bool strict = false;           // what would be a warning ends the run before anything is published
  uint64_t max_chunk_elems = 0;  // for tests; 0 = as the budget allows. Rounded up to whole blocks
  uint64_t max_batch_bytes = 0;  // for tests; 0 = as the disk is fast. So much is made durable and journaled at once
  // Called a few times a second from the thread that called RunMerge. Returning false stops the run (kCancelled).
  std::function<bool(const Progress&)> on_progress;
};

}  // namespace gpumerge
