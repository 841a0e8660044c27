// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs test jobs on the CUDA backend as the pipeline does: bytes in pinned staging memory, tensors whole, streamed or
// kept on the device, alone or many in a batch, in two lanes. What is not to be read any more is overwritten. For
// tests.
#pragma once

#include "tests/support/jobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace gpumerge::testing {

enum class GpuMode { kWhole, kStreamed, kKept };

struct GpuRun {
  GpuMode mode = GpuMode::kWhole;
  uint64_t chunk_elems = kBlockElems;      // streamed, kept: of the parts that bring inputs
  uint64_t out_chunk_elems = kBlockElems;  // kept: of the parts that bring back the output
};

struct GpuMemory {
  uint64_t unit_bytes = 8 << 20;
  uint32_t n_units = 2;
  uint64_t kept_bytes = 32 << 20;
  uint64_t staging_bytes = 16 << 20;
  uint64_t vram_bytes = 0;  // see MakeCudaBackend
};

// A tensor on its way through the backend, part by part.
class GpuTensor {
 public:
  struct Part {
    uint64_t first, n;
    uint32_t first_read, last_read;
    bool has_inputs, has_output, kept;
  };

  GpuTensor(Backend& backend, const TestJob& of, GpuRun run, uint32_t in_lane = 0)
      : test(of), lane(in_lane), in_parts(run.mode != GpuMode::kWhole) {
    const MergeJob& job = test.job;
    const PassList passes = Methods()[job.method].passes(job);
    if (NeedsWholeRows(passes) && job.n_elems > 0)
      for (uint64_t* chunk : {&run.chunk_elems, &run.out_chunk_elems}) {
        const uint64_t rows = std::lcm(kBlockElems, job.row_elems());
        *chunk = std::min(job.n_elems, (*chunk + rows - 1) / rows * rows);
      }
    const uint32_t reads = TotalReads(passes);
    result.output.assign(job.n_elems * ElementBytes(job.out_dtype), std::byte{0xee});
    result.state = backend.NewState(job, passes);
    if (run.mode == GpuMode::kWhole) {
      parts.push_back({0, job.n_elems, 0, reads, true, true, false});
    } else if (run.mode == GpuMode::kStreamed || reads == 1) {  // one reading: nothing to keep inputs for
      for (uint32_t read = 0; read < reads; ++read)
        Cut(run.chunk_elems, {0, 0, read, read + 1, true, read + 1 == reads, false});
    } else {
      Cut(run.chunk_elems, {0, 0, 0, 1, true, false, true});
      if (reads > 2 && job.n_elems > 0) parts.push_back({0, job.n_elems, 1, reads - 1, false, false, true});
      Cut(run.out_chunk_elems, {0, 0, reads - 1, reads, false, true, true});
    }
  }

  bool AtEnd() const { return next == parts.size(); }
  bool NextBringsInputs() const { return !AtEnd() && parts[next].has_inputs; }

  const TestJob& test;
  const uint32_t lane;
  const bool in_parts;
  std::vector<Part> parts;
  size_t next = 0;
  TestResult result;

 private:
  void Cut(uint64_t chunk, Part part) {
    for (part.first = 0; part.first < test.job.n_elems; part.first += chunk) {
      part.n = std::min(chunk, test.job.n_elems - part.first);
      parts.push_back(part);
    }
  }
};

// A CUDA backend with memory of its own, and a staging memory that is used round and round.
class GpuBackend {
 public:
  explicit GpuBackend(const GpuMemory& memory = {}) : backend_(MakeCudaBackend(0, memory.vram_bytes)) {
    backend_->AllocateDevice({memory.unit_bytes, memory.n_units, memory.kept_bytes});
    staging_ = backend_->AllocateStaging(memory.staging_bytes);
  }

  Backend& backend() { return *backend_; }
  std::span<std::byte> staging() const { return staging_; }

  TestResult Run(const TestJob& test, const GpuRun& run = {}) {
    GpuTensor tensor(*backend_, test, run);
    while (!tensor.AtEnd()) Submit(tensor);
    Drain();
    return std::move(tensor.result);
  }
  std::unique_ptr<GpuTensor> Begin(const TestJob& test, const GpuRun& run = {}, uint32_t lane = 0) {
    return std::make_unique<GpuTensor>(*backend_, test, run, lane);
  }
  // The next part of the tensor alone, or of every tensor in one batch. The tensors must live until Drain.
  void Submit(GpuTensor& tensor) {
    GpuTensor* const one = &tensor;
    Submit(std::span(&one, 1));
  }
  void Submit(std::span<GpuTensor* const> tensors);
  void Drain() {
    while (!under_way_.empty()) Finish();
  }

 private:
  struct Output {
    const std::byte* from;
    std::byte* to;
    uint64_t bytes;
  };
  struct UnderWay {
    uint64_t ticket;
    std::span<std::byte> staging;
    std::vector<Output> outputs;
  };

  static uint64_t Align(uint64_t bytes) { return (bytes + 63) / 64 * 64; }
  static uint64_t InputBytes(const GpuTensor& tensor, size_t input, uint64_t n_elems) {
    return n_elems * ElementBytes(tensor.test.job.inputs[input].dtype);
  }
  static uint64_t OutputBytes(const GpuTensor& tensor, uint64_t n_elems) {
    return n_elems * ElementBytes(tensor.test.job.out_dtype);
  }

  // What is under way is waited for when the memory comes round.
  std::span<std::byte> TakeStaging(uint64_t bytes) {
    if (bytes > staging_.size()) throw std::invalid_argument("the test's staging memory is too small for its batch");
    if (used_ + bytes > staging_.size()) {
      Drain();
      used_ = 0;
    }
    used_ += bytes;
    return staging_.subspan(used_ - bytes, bytes);
  }

  void Finish() {
    const UnderWay done = std::move(under_way_.front());
    under_way_.pop_front();
    backend_->Wait(done.ticket);
    for (const Output& output : done.outputs)
      if (output.bytes > 0) std::memcpy(output.to, output.from, output.bytes);
    std::fill(done.staging.begin(), done.staging.end(), std::byte{0xa5});
  }

  std::unique_ptr<Backend> backend_;
  std::span<std::byte> staging_;
  uint64_t used_ = 0;
  std::deque<UnderWay> under_way_;
};

// All inputs first, then all outputs, as the pipeline lays out its units.
inline void GpuBackend::Submit(std::span<GpuTensor* const> tensors) {
  uint64_t bytes = 0;
  for (const GpuTensor* tensor : tensors) {
    const GpuTensor::Part& part = tensor->parts.at(tensor->next);
    for (size_t i = 0; part.has_inputs && i < tensor->test.inputs.size(); ++i)
      bytes += Align(InputBytes(*tensor, i, part.n));
    if (part.has_output) bytes += Align(OutputBytes(*tensor, part.n));
  }
  UnderWay batch{0, TakeStaging(bytes), {}};
  std::byte* place = batch.staging.data();
  std::vector<Work> works;
  for (const GpuTensor* tensor : tensors) {
    const GpuTensor::Part& part = tensor->parts[tensor->next];
    Work work{&tensor->test.job,
              tensor->result.state.get(),
              part.first,
              part.n,
              {},
              nullptr,
              part.first_read,
              part.last_read,
              part.kept,
              tensor->in_parts,
              tensor->lane};
    for (size_t i = 0; part.has_inputs && i < tensor->test.inputs.size(); ++i) {
      const uint64_t size = InputBytes(*tensor, i, part.n);
      if (size > 0) std::memcpy(place, tensor->test.inputs[i].data() + InputBytes(*tensor, i, part.first), size);
      work.inputs.push_back(place);
      place += Align(size);
    }
    works.push_back(std::move(work));
  }
  for (size_t t = 0; t < tensors.size(); ++t) {
    GpuTensor& tensor = *tensors[t];
    const GpuTensor::Part& part = tensor.parts[tensor.next++];
    if (!part.has_output) continue;
    const uint64_t size = OutputBytes(tensor, part.n);
    std::fill_n(place, size, std::byte{0xee});
    works[t].output = place;
    batch.outputs.push_back({place, tensor.result.output.data() + OutputBytes(tensor, part.first), size});
    place += Align(size);
  }
  batch.ticket = backend_->Submit(works);
  under_way_.push_back(std::move(batch));
  if (under_way_.size() >= backend_->Info().max_in_flight) Finish();
}

}  // namespace gpumerge::testing
