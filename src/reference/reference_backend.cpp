// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The Backend of the reference executor: whole tensors, one after the other, on the calling thread.
#include "src/reference/entry.h"

#include "gpumerge/backend.h"

#include <chrono>
#include <cstdlib>
#include <new>

namespace gpumerge {
namespace {

// A small vector's own words and those of its memory.
constexpr uint64_t kVectorBytes = 48;

class ReferenceState : public JobState {
 public:
  std::optional<NonFinite> InputNonFinite(uint32_t input) const override {
    return input < result.inputs.size() ? result.inputs[input] : std::nullopt;
  }
  std::optional<NonFinite> OutputOverflow() const override { return result.overflow; }
  bool UsedLerp() const override { return result.used_lerp; }
  const DataProblem* Problem() const override { return result.problem; }
  RoundingLoss Loss() const override { return result.loss; }
  ReferenceResult result;
};

class ReferenceBackend : public Backend {
 public:
  ~ReferenceBackend() override { std::free(staging_.data()); }

  BackendInfo Info() const override { return {"reference", "scalar, 1 thread", false}; }

  uint64_t StateBytes(const MergeJob& job, const PassList& passes) const override {
    uint64_t bytes = 0;
    for (const PassInfo& pass : passes) {
      // A key and an index an element, and as much again for the stable sort's buffer.
      if (pass.kind == PassKind::kSelect) bytes += job.n_elems * (sizeof(uint32_t) + 2 * sizeof(uint64_t));
      if (pass.kind == PassKind::kReduce) bytes += (job.n_elems / kBlockElems + 1) * pass.n_values * 2 * sizeof(double);
      if (pass.kind == PassKind::kReduceGroups) {
        // A vector of sums a group, and the values that are kept; a row's blocks.
        bytes += job.n_groups(pass.axis) * ((pass.n_values + pass.n_group_values) * sizeof(double) + kVectorBytes);
        bytes += (job.row_elems() / kBlockElems + 1) * pass.n_values * 2 * sizeof(double);
      }
      // Ranks of all models, and what sorting takes.
      if (pass.ranks) bytes += job.row_elems() * (sizeof(uint32_t) * (job.n_models() + 1) + 2 * sizeof(uint64_t));
    }
    return bytes;
  }
  uint64_t FixedBytes(std::span<const MergeJob* const>) const override { return 0; }

  std::span<std::byte> AllocateStaging(uint64_t bytes) override {
    void* memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == nullptr) throw std::bad_alloc();
    staging_ = {static_cast<std::byte*>(memory), bytes};
    return staging_;
  }

  std::unique_ptr<JobState> NewState(const MergeJob&, const PassList&) override {
    return std::make_unique<ReferenceState>();
  }

  uint64_t Submit(std::span<const Work> batch) override {
    const auto start = std::chrono::steady_clock::now();
    for (const Work& work : batch) {
      if (work.first_elem != 0 || work.n_elems != work.job->n_elems)
        throw Error({.code = ErrorCode::kInternal, .message = "the reference executor was given a part of a tensor"});
      ReferenceMethods()[work.job->method].run(
          {work.job, work.inputs, work.output, &static_cast<ReferenceState*>(work.state)->result});
    }
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return 0;
  }
  void Wait(uint64_t) override {}
  double ComputeSeconds() const override { return seconds_; }

 private:
  std::span<std::byte> staging_;
  double seconds_ = 0;
};

}  // namespace

std::unique_ptr<Backend> MakeReferenceBackend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace gpumerge
