// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// CudaBackend: where a batch's bytes lie in device memory, and the copies in and out.
#include "src/base/trace_range.h"
#include "src/cuda/cuda_backend.h"

#include <algorithm>
#include <utility>

namespace gpumerge {
namespace {

uint64_t InputBytes(const Work& work, size_t input, uint64_t n_elems) {
  return n_elems * ElementBytes(work.job->inputs[input].dtype);
}

}  // namespace

// Where the inputs and outputs of what is not kept lie in the batch's piece of `units`, then findings and states of
// whole tensors. Neighbours in staging memory become one copy.
void CudaBackend::PlaceUnits(Batch* batch, std::vector<Range>* inputs) {
  uint64_t bytes = 0;
  const auto extend = [](std::vector<Range>* ranges, const std::byte* data, uint64_t size) {
    std::byte* host = const_cast<std::byte*>(data);
    constexpr std::ptrdiff_t kPadding = 64;
    if (ranges->empty() || host < ranges->back().host + ranges->back().bytes ||
        host - (ranges->back().host + ranges->back().bytes) >= kPadding)
      ranges->push_back({host, 0, 0});
    ranges->back().bytes = static_cast<uint64_t>(host - ranges->back().host) + size;
    return ranges->size() - 1;
  };
  const auto place = [&](std::vector<Range>* ranges) {
    for (Range& range : *ranges) {
      range.offset = bytes;
      bytes += AlignDevice(range.bytes);
    }
  };
  std::vector<size_t> range_of;  // of every input and output, in the order of the second loop
  for (const Part& part : batch->parts)
    if (!part.work.kept)
      for (size_t i = 0; i < part.work.inputs.size(); ++i)
        range_of.push_back(extend(inputs, part.work.inputs[i], InputBytes(part.work, i, part.work.n_elems)));
  uint64_t gap_bytes = 0;  // between outputs that one copy moves
  for (const Part& part : batch->parts) {
    if (part.work.output == nullptr) continue;
    const uint64_t output_bytes = part.work.n_elems * ElementBytes(part.work.job->out_dtype);
    range_of.push_back(extend(&batch->outputs, part.work.output, output_bytes));
    gap_bytes -= output_bytes;
  }
  for (const Range& range : batch->outputs) gap_bytes += range.bytes;
  place(inputs);
  const uint64_t first_output = bytes;
  place(&batch->outputs);
  uint64_t findings = bytes;
  // No byte is copied back that nothing has written.
  const uint64_t zeroed = gap_bytes > 0 ? first_output : bytes;
  for (Part& part : batch->parts) {
    if (!part.whole) continue;
    part.state->layout.emplace(*part.work.job, part.state->passes, false);
    bytes += part.state->layout->findings_bytes;
  }
  bytes = AlignDevice(bytes);
  const uint64_t states = bytes;
  for (const Part& part : batch->parts)
    if (part.whole) bytes += part.state->layout->bytes;

  batch->memory = units_device_ + TakeRoom(&units_, bytes, batch);
  batch->units_mark = units_.Mark();
  size_t next = 0;
  const auto on_device = [&](const std::vector<Range>& ranges, const std::byte* host) {
    const Range& range = ranges[range_of[next++]];
    return batch->memory + range.offset + (host - range.host);
  };
  for (Part& part : batch->parts)
    if (!part.work.kept)
      for (size_t i = 0; i < part.work.inputs.size(); ++i)
        part.inputs.push_back({on_device(*inputs, part.work.inputs[i]), part.work.job->inputs[i].dtype,
                               part.work.job->inputs[i].model_index});
  for (Part& part : batch->parts)
    if (part.work.output != nullptr) part.output = on_device(batch->outputs, part.work.output);
  uint64_t state = states;
  for (Part& part : batch->parts) {
    if (!part.whole) continue;
    part.state->device_findings = batch->memory + findings;
    findings += part.state->layout->findings_bytes;
    part.state->device = batch->memory + state;
    state += part.state->layout->bytes;
  }
  batch->zeroed = batch->memory + zeroed;
  batch->zeroed_bytes = bytes - zeroed;
}

// The lane's place for `bytes` of a tensor in parts, once what overlaps it is done.
uint64_t CudaBackend::TakeKept(uint32_t lane, uint64_t bytes) {
  Kept& own = kept_lanes_[lane];
  Kept& other = kept_lanes_[1 - lane];
  if (own.open) throw Error({.code = ErrorCode::kInternal, .message = "a lane began a tensor within another"});
  Wait(own.last_ticket);
  if (other.bytes + bytes > kept_bytes_ && !other.open) {
    Wait(other.last_ticket);
    other.bytes = 0;
  }
  if (other.bytes + bytes > kept_bytes_)
    throw Error({.code = ErrorCode::kInternal, .message = "a tensor does not fit the GPU's memory as planned"});
  own = {bytes, 0, true};
  return lane == 0 ? 0 : kept_bytes_ - bytes;
}

// The first part of a tensor in parts takes its place; the last one says when it is free again.
void CudaBackend::PlaceInParts(Part* part, uint64_t ticket) {
  const Work& work = part->work;
  CudaJobState& state = *part->state;
  const uint32_t lane = work.lane % kCudaLanes;
  if (work.first_elem == 0 && work.first_read == 0) {
    state.layout.emplace(*work.job, state.passes, true);
    uint64_t bytes = state.layout->bytes;
    std::vector<uint64_t> offsets;
    for (size_t i = 0; work.kept && i < work.job->inputs.size(); ++i) {
      offsets.push_back(bytes);
      bytes += AlignDevice(InputBytes(work, i, work.job->n_elems));
    }
    std::byte* place = kept_device_ + TakeKept(lane, bytes);
    state.device = state.device_findings = place;
    state.kept_inputs.clear();
    for (const uint64_t offset : offsets) state.kept_inputs.push_back(place + offset);
    GM_CUDA_TRY(cudaMemsetAsync(place, 0, state.layout->zeroed_bytes, compute_.get()));
  }
  if (work.kept)
    for (size_t i = 0; i < work.job->inputs.size(); ++i)
      part->inputs.push_back({state.kept_inputs[i] + InputBytes(work, i, work.first_elem), work.job->inputs[i].dtype,
                              work.job->inputs[i].model_index});
  if (!part->ends_tensor) return;
  kept_lanes_[lane].open = false;
  kept_lanes_[lane].last_ticket = ticket;
}

void CudaBackend::Upload(Batch* batch) {
  const TraceRange trace("copy in");
  std::vector<Range> ranges;
  PlaceUnits(batch, &ranges);
  for (Part& part : batch->parts)
    if (!part.whole) PlaceInParts(&part, batch->ticket);
  if (batch->zeroed_bytes > 0) GM_CUDA_TRY(cudaMemsetAsync(batch->zeroed, 0, batch->zeroed_bytes, compute_.get()));

  const auto copy = [&](std::byte* to, const std::byte* from, uint64_t bytes) {
    if (bytes == 0) return;
    GM_CUDA_TRY(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, in_.get()));
    batch->has_upload = true;
  };
  for (const Range& range : ranges) copy(batch->memory + range.offset, range.host, range.bytes);
  for (const Part& part : batch->parts)
    if (part.work.kept)
      for (size_t i = 0; i < part.work.inputs.size(); ++i)
        copy(part.state->kept_inputs[i] + InputBytes(part.work, i, part.work.first_elem), part.work.inputs[i],
             InputBytes(part.work, i, part.work.n_elems));
  if (batch->has_upload) GM_CUDA_TRY(cudaEventRecord(batch->uploaded.get(), in_.get()));
}

void CudaBackend::Download(Batch* batch) {
  const TraceRange trace("copy out");
  uint64_t findings_bytes = 0;
  for (const Part& part : batch->parts)
    if (part.ends_tensor) findings_bytes += part.state->layout->findings_bytes;
  CUstream_st* last = compute_.get();
  if (findings_bytes > 0 || !batch->outputs.empty()) {
    last = out_.get();
    GM_CUDA_TRY(cudaStreamWaitEvent(last, batch->ended.get()));
  }
  for (const Range& range : batch->outputs)
    if (range.bytes > 0)
      GM_CUDA_TRY(cudaMemcpyAsync(range.host, batch->memory + range.offset, range.bytes, cudaMemcpyDeviceToHost, last));
  if (findings_bytes > 0) {
    std::byte* to = mailbox_host_.get() + TakeRoom(&mailbox_, findings_bytes, batch);
    // Those of whole tensors lie together; a tensor in parts is alone in its batch.
    const std::byte* from = nullptr;
    for (const Part& part : batch->parts) {
      if (!part.ends_tensor) continue;
      if (from == nullptr) from = part.state->device_findings;
      batch->readbacks.push_back({part.state, to + (part.state->device_findings - from)});
    }
    GM_CUDA_TRY(cudaMemcpyAsync(to, from, findings_bytes, cudaMemcpyDeviceToHost, last));
  }
  batch->mailbox_mark = mailbox_.Mark();
  GM_CUDA_TRY(cudaEventRecord(batch->done.get(), last));
}

}  // namespace gpumerge
