// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// CudaBackend: the kernels of a batch. Recipes run on the host for every step of every part; equal launches are made as
// one. A step that needs reduced sums waits for them on the host, which is why a batch may be left half launched until
// the next one's copies are under way.
#include "src/base/trace_range.h"
#include "src/cuda/cuda_backend.h"

#include <algorithm>
#include <utility>

namespace gpumerge {

// Launches what can be launched. may_defer: returns early when sums of this batch are needed, instead of waiting.
void CudaBackend::Advance(Batch* batch, bool may_defer) {
  const TraceRange trace("compute");
  if (!batch->started) {
    if (batch->has_upload) GM_CUDA_TRY(cudaStreamWaitEvent(compute_.get(), batch->uploaded.get()));
    GM_CUDA_TRY(cudaEventRecord(batch->began.get(), compute_.get()));
    batch->started = true;
  } else {
    GM_CUDA_TRY(cudaEventSynchronize(batch->sums.get()));
    for (const Part& part : batch->parts) ReadSums(part.state, batch->ticket);
  }
  while (true) {
    bool finished = true;
    for (Part& part : batch->parts) finished = AddSteps(batch, &part) && finished;
    FlushLaunches(batch);
    GM_CUDA_TRY(cudaEventRecord(batch->sums.get(), compute_.get()));
    if (finished) break;
    if (may_defer) return;
    GM_CUDA_TRY(cudaEventSynchronize(batch->sums.get()));
    for (const Part& part : batch->parts) ReadSums(part.state, batch->ticket);
  }
  GM_CUDA_TRY(cudaEventRecord(batch->ended.get(), compute_.get()));
  batch->tables_mark = tables_.Mark();
  Download(batch);
  batch->computed = true;
}

// Adds the part's next steps to the launches. False: the next one needs sums that this batch's kernels have to write.
bool CudaBackend::AddSteps(Batch* batch, Part* part) {
  for (uint32_t round = 0; part->next_step < part->steps.size(); ++round) {
    const PartStep& step = part->steps[part->next_step];
    const std::vector<CudaJobState::PendingSums>& pending = part->state->pending;
    const auto missing = std::find_if(pending.begin(), pending.end(),
                                      [&](const CudaJobState::PendingSums& sums) { return sums.pass < step.pass; });
    if (missing != pending.end()) {
      if (missing->ticket == batch->ticket) return false;
      Wait(missing->ticket);  // an earlier batch's: when that is done they are read
    }
    if (launches_.TableBytes() > table_bytes_ / 4) FlushLaunches(batch);
    AddStep(batch, *part, step, round);
    ++part->next_step;
  }
  return true;
}

void CudaBackend::AddStep(Batch* batch, const Part& part, const PartStep& step, uint32_t round) {
  const Work& work = part.work;
  const MergeJob& job = *work.job;
  CudaJobState& state = *part.state;
  const PassInfo& pass = state.passes[step.pass];
  const StateLayout::Pass& place = state.layout->passes[step.pass];

  const std::vector<PassResult> results = state.Results();
  StepRequest request;
  request_[job.method]({&job, results, step.pass, step.step}, &request);
  if (request.launch == nullptr)
    throw Error({.code = ErrorCode::kInternal, .message = "a recipe has other passes than it said"});
  state.used_lerp = state.used_lerp || request.used_lerp;
  if (request.problem != nullptr) state.problem = request.problem;

  DevicePart device{};
  device.first_elem = work.first_elem;
  device.n_elems = work.n_elems;
  device.tensor_elems = job.n_elems;
  device.n_inputs = static_cast<uint32_t>(job.inputs.size());
  device.n_models = job.n_models();
  device.output = part.output;
  device.out_dtype = job.out_dtype;
  device.has_base = job.has_base ? 1 : 0;
  device.seed = job.seed;
  device.name_hash = job.name_hash;
  device.kept = request.kept;
  device.findings = reinterpret_cast<DeviceFinding*>(state.device_findings);
  device.n_values = pass.n_values;
  device.op = pass.op;
  if (pass.kind == PassKind::kSelect) {
    device.selections = reinterpret_cast<Selection*>(state.device + place.selections);
    device.progress = reinterpret_cast<DeviceSelectProgress*>(state.device + place.progress);
    device.high_counts = reinterpret_cast<uint32_t*>(state.device + place.high_counts);
    device.low_counts = reinterpret_cast<uint32_t*>(state.device + place.low_counts);
    device.ties = reinterpret_cast<uint32_t*>(state.device + place.ties);
  } else if (pass.kind == PassKind::kReduce) {
    device.block_sums = reinterpret_cast<double*>(state.device + place.block_sums);
  }
  if (step.step == DeviceStep::kEndReduce) {
    device.sums =
        reinterpret_cast<double*>(mailbox_host_.get() + TakeRoom(&mailbox_, pass.n_values * sizeof(double), batch));
    state.pending.push_back({step.pass, device.sums, batch->ticket});
  }
  launches_.Add(round, step.step, std::move(request), device, part.inputs);
}

void CudaBackend::FlushLaunches(Batch* batch) {
  if (launches_.empty()) return;
  const uint64_t table = TakeRoom(&tables_, launches_.TableBytes(), batch);
  launches_.Launch(tables_host_.get() + table, tables_device_ + table, compute_.get());
}

// The event of the sums that batches up to `ticket` write has come.
void CudaBackend::ReadSums(CudaJobState* state, uint64_t ticket) {
  std::erase_if(state->pending, [&](const CudaJobState::PendingSums& sums) {
    if (sums.ticket > ticket) return false;
    std::copy_n(sums.from, state->sums[sums.pass].size(), state->sums[sums.pass].begin());
    return true;
  });
}

}  // namespace gpumerge
