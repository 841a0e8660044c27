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

namespace {

// The mailbox holds what two rounds of launches send, and findings beside it.
constexpr uint64_t kRoundMailBytes = 1 << 20;

// What the step is told of rows, columns and ranks.
void SetGroups(const MergeJob& job, const PassInfo& pass, const CudaJobState& state, const PartStep& step,
               DevicePart* device) {
  const StateLayout& layout = *state.layout;
  device->axis = pass.axis;
  device->n_group_values = pass.n_group_values;
  device->group_values = reinterpret_cast<double*>(state.device + layout.group_values);
  device->row_elems = static_cast<uint32_t>(job.row_elems());
  device->n_columns = static_cast<uint32_t>(job.n_groups(GroupAxis::kColumns));
  device->first_group = static_cast<uint32_t>(step.groups.first);
  device->n_groups = static_cast<uint32_t>(step.groups.n);
  device->blocks_per_group = BlocksPerGroup(job, pass.axis);
  if (step.step == DeviceStep::kSendGroups && pass.axis == GroupAxis::kColumns)
    device->block_sums += step.groups.first * pass.n_values;
  if (!pass.ranks) return;
  const ElemRange rows = RowsAround(job, step.elems);
  device->rank_stride = static_cast<uint32_t>(rows.n);
  device->rank_keys = reinterpret_cast<uint32_t*>(state.device + layout.rank_keys);
  device->rank_elems = reinterpret_cast<uint32_t*>(state.device + layout.rank_elems);
  device->ranks = device->rank_keys + job.n_models() * rows.n + (step.elems.first - rows.first);
}

}  // namespace

// Launches what can be launched. may_defer: returns early when this batch needs something of its own kernels on the
// host, instead of waiting.
void CudaBackend::Advance(Batch* batch, bool may_defer) {
  const TraceRange trace("compute");
  if (!batch->started) {
    if (batch->has_upload) GM_CUDA_TRY(cudaStreamWaitEvent(compute_.get(), batch->uploaded.get()));
    GM_CUDA_TRY(cudaEventRecord(batch->began.get(), compute_.get()));
    batch->started = true;
  } else {
    AwaitLaunches(batch);
  }
  while (true) {
    bool finished = true;
    for (Part& part : batch->parts) finished = AddSteps(batch, &part) && finished;
    FlushLaunches(batch);
    GM_CUDA_TRY(cudaEventRecord(batch->sums.get(), compute_.get()));
    if (finished) break;
    if (may_defer) return;
    AwaitLaunches(batch);
  }
  GM_CUDA_TRY(cudaEventRecord(batch->ended.get(), compute_.get()));
  batch->tables_mark = tables_.Mark();
  Download(batch);
  batch->computed = true;
}

// Everything launched so far is done. Sums of groups are finished by the next launches, which send the values back from
// where the sums came: mail is done when the launches after it are.
void CudaBackend::AwaitLaunches(Batch* batch) {
  GM_CUDA_TRY(cudaEventSynchronize(batch->sums.get()));
  for (const Part& part : batch->parts) part.state->TakeIn(batch->ticket);
  batch->done_mail = batch->launched_mail;
  batch->launched_mail = mailbox_.Mark();
  batch->new_mail_bytes = 0;
}

// Adds the part's next steps to the launches. False: the next one has to wait for this batch's kernels.
bool CudaBackend::AddSteps(Batch* batch, Part* part) {
  for (uint32_t round = 0; part->next_step < part->steps.size(); ++round) {
    const PartStep& step = part->steps[part->next_step];
    if (MustWait(batch, *part, step)) return false;
    if (launches_.TableBytes() > table_bytes_ / 4) FlushLaunches(batch);
    AddStep(batch, part, step, round);
    ++part->next_step;
  }
  return true;
}

bool CudaBackend::MustWait(Batch* batch, const Part& part, const PartStep& step) {
  const uint64_t mail_bytes = MailBytes(step, part.state->passes[step.pass]);
  if (mail_bytes > 0 && batch->new_mail_bytes > 0 && batch->new_mail_bytes + mail_bytes > kRoundMailBytes) return true;
  const auto needs = [&](const CudaJobState::Arrival& arrival) {
    return arrival.pass < step.pass || (arrival.pass == step.pass && step.step == DeviceStep::kStoreGroups);
  };
  const auto missing = std::find_if(part.state->arriving.begin(), part.state->arriving.end(), needs);
  if (missing == part.state->arriving.end()) return false;
  if (missing->ticket == batch->ticket) return true;
  Wait(missing->ticket);  // an earlier batch's: when that is done it is taken in
  return MustWait(batch, part, step);
}

void CudaBackend::AddStep(Batch* batch, Part* part, const PartStep& step, uint32_t round) {
  const Work& work = part->work;
  const MergeJob& job = *work.job;
  CudaJobState& state = *part->state;
  const PassInfo& pass = state.passes[step.pass];
  const StateLayout::Pass& place = state.layout->passes[step.pass];
  if (const uint64_t bytes = MailBytes(step, pass); bytes > 0) {
    part->mail = reinterpret_cast<double*>(mailbox_host_.get() + TakeRoom(&mailbox_, bytes, batch));
    batch->new_mail_bytes += bytes;
    state.arriving.push_back({step.step, step.pass, part->mail, bytes / (2 * sizeof(double)), batch->ticket});
  }

  const std::vector<PassResult> results = state.Results();
  StepCall call{&job, results, step.pass, step.step};
  if (step.step == DeviceStep::kStoreGroups) {
    call.n_groups = static_cast<uint32_t>(step.groups.n);
    call.group_sums = part->mail;
    call.group_values = part->mail + step.groups.n * pass.n_values;
  }
  StepRequest request;
  request_[job.method](call, &request);
  if (request.launch == nullptr)
    throw Error({.code = ErrorCode::kInternal, .message = "a recipe has other passes than it said"});
  state.used_lerp = state.used_lerp || request.used_lerp;
  if (state.problem == nullptr) state.problem = request.problem;

  const uint64_t skipped = step.elems.first - work.first_elem;
  std::vector<DeviceInput> inputs = part->inputs;
  for (DeviceInput& input : inputs) input.data += skipped * ElementBytes(input.dtype);
  DevicePart device{};
  device.first_elem = step.elems.first;
  device.n_elems = step.elems.n;
  device.tensor_elems = job.n_elems;
  device.n_inputs = static_cast<uint32_t>(job.inputs.size());
  device.n_models = job.n_models();
  if (part->output != nullptr) device.output = part->output + skipped * ElementBytes(job.out_dtype);
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
  }
  device.block_sums = reinterpret_cast<double*>(state.device + place.block_sums);
  (step.step == DeviceStep::kMap ? device.losses : device.sums) = part->mail;
  SetGroups(job, pass, state, step, &device);
  launches_.Add(round, step.step, std::move(request), device, std::move(inputs));
}

void CudaBackend::FlushLaunches(Batch* batch) {
  if (launches_.empty()) return;
  const uint64_t table = TakeRoom(&tables_, launches_.TableBytes(), batch);
  launches_.Launch(tables_host_.get() + table, tables_device_ + table, compute_.get());
}

}  // namespace gpumerge
