// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs test jobs on the CUDA backend as the pipeline does: bytes in pinned staging memory, tensors whole, streamed or
// kept on the device. For tests.
#pragma once

#include "tests/support/jobs.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace gpumerge::testing {

enum class GpuMode { kWhole, kStreamed, kKept };

struct GpuRun {
  GpuMode mode = GpuMode::kWhole;
  uint64_t chunk_elems = kBlockElems;      // streamed, kept: of the parts that bring inputs
  uint64_t out_chunk_elems = kBlockElems;  // kept: of the parts that bring back the output
};

// A CUDA backend with memory for jobs of up to these sizes.
class GpuBackend {
 public:
  explicit GpuBackend(uint64_t unit_bytes = 64 << 20, uint64_t kept_bytes = 64 << 20, uint64_t staging_bytes = 64 << 20)
      : backend_(MakeCudaBackend(0, 0)) {
    backend_->AllocateDevice({unit_bytes, 2, kept_bytes});
    staging_ = backend_->AllocateStaging(staging_bytes);
  }

  Backend& backend() { return *backend_; }
  std::span<std::byte> staging() const { return staging_; }

  TestResult Run(const TestJob& test, const GpuRun& run = {}) {
    const MergeJob& job = test.job;
    const PassList passes = Methods()[job.method].passes(job);
    const uint32_t reads = TotalReads(passes);
    TestResult result;
    result.output.assign(job.n_elems * ElementBytes(job.out_dtype), std::byte{0xee});
    result.state = backend_->NewState(job, passes);
    JobState* state = result.state.get();
    if (run.mode == GpuMode::kWhole) {
      Submit(test, state, {0, job.n_elems, 0, reads, true, true, false}, &result);
    } else if (run.mode == GpuMode::kStreamed || reads == 1) {  // one reading: nothing to keep inputs for
      for (uint32_t read = 0; read < reads; ++read)
        ForChunks(job.n_elems, run.chunk_elems, [&](uint64_t first, uint64_t n) {
          Submit(test, state, {first, n, read, read + 1, true, read + 1 == reads, false}, &result);
        });
    } else {
      ForChunks(job.n_elems, run.chunk_elems, [&](uint64_t first, uint64_t n) {
        Submit(test, state, {first, n, 0, 1, true, false, true}, &result);
      });
      if (reads > 2) Submit(test, state, {0, job.n_elems, 1, reads - 1, false, false, true}, &result);
      ForChunks(job.n_elems, run.out_chunk_elems, [&](uint64_t first, uint64_t n) {
        Submit(test, state, {first, n, reads - 1, reads, false, true, true}, &result);
      });
    }
    Drain();
    return result;
  }

 private:
  struct PartOf {
    uint64_t first, n;
    uint32_t first_read, last_read;
    bool has_inputs, has_output, kept;
  };
  struct UnderWay {
    uint64_t ticket;
    std::byte* output;
    std::byte* to;
    uint64_t bytes;
  };

  template <class Function>
  static void ForChunks(uint64_t n_elems, uint64_t chunk, const Function& f) {
    for (uint64_t first = 0; first < n_elems; first += chunk) f(first, std::min(chunk, n_elems - first));
  }

  // Staging memory is used round and round; what is under way is waited for when it comes round.
  std::byte* TakeStaging(uint64_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    if (used_ + bytes > staging_.size()) {
      Drain();
      used_ = 0;
    }
    std::byte* place = staging_.data() + used_;
    used_ += bytes;
    return place;
  }

  void Submit(const TestJob& test, JobState* state, const PartOf& part, TestResult* result) {
    const MergeJob& job = test.job;
    Work work{&job, state, part.first, part.n, {}, nullptr, part.first_read, part.last_read, part.kept, 0};
    if (part.has_inputs) {
      for (size_t i = 0; i < test.inputs.size(); ++i) {
        const uint64_t elem_bytes = ElementBytes(job.inputs[i].dtype);
        std::byte* place = TakeStaging(part.n * elem_bytes);
        if (part.n > 0) std::memcpy(place, test.inputs[i].data() + part.first * elem_bytes, part.n * elem_bytes);
        work.inputs.push_back(place);
      }
    }
    const uint64_t out_bytes = part.n * ElementBytes(job.out_dtype);
    if (part.has_output) work.output = TakeStaging(out_bytes);
    const uint64_t ticket = backend_->Submit({&work, 1});
    under_way_.push_back({ticket, work.output,
                          part.has_output ? result->output.data() + part.first * ElementBytes(job.out_dtype) : nullptr,
                          part.has_output ? out_bytes : 0});
    if (under_way_.size() >= backend_->Info().max_in_flight) Finish();
  }

  void Finish() {
    const UnderWay done = under_way_.front();
    under_way_.erase(under_way_.begin());
    backend_->Wait(done.ticket);
    if (done.bytes > 0) std::memcpy(done.to, done.output, done.bytes);
  }
  void Drain() {
    while (!under_way_.empty()) Finish();
  }

  std::unique_ptr<Backend> backend_;
  std::span<std::byte> staging_;
  uint64_t used_ = 0;
  std::vector<UnderWay> under_way_;
};

}  // namespace gpumerge::testing
