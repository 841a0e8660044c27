// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// MergeTensors: one tensor that is already in memory.
#include "src/run/run_on.h"

#include "gpumerge/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gpumerge {
namespace {

Error BadCall(const std::string& message) { return Error({.code = ErrorCode::kCfgParam, .message = message}); }

// The recipe's checks, for a caller who had no recipe.
void CheckValues(const ParamSpec& spec, const std::vector<double>& values) {
  for (const double value : values) {
    const double max = IsNumber(spec.type)             ? spec.max
                       : spec.type == ParamType::kBool ? 1
                                                       : static_cast<double>(spec.choices.size()) - 1;
    const double min = IsNumber(spec.type) ? spec.min : 0;
    const bool whole = spec.type == ParamType::kFloat || value == std::floor(value);
    if (!(value >= min && value <= max) || !whole)  // also false for NaN
      throw BadCall(fmt::format("parameter {} is {}, out of range {} to {}", spec.name, value, min, max));
  }
}

void CheckCall(const MergeJob& job, std::span<const ConstTensor> inputs) {
  if (job.method >= Methods().size()) throw BadCall(fmt::format("there is no method number {}", job.method));
  const MethodInfo& info = *Methods()[job.method].info;
  if (info.base != BaseUse::kOptional && job.has_base != (info.base == BaseUse::kRequired))
    throw BadCall(fmt::format("{} {} a base as its first input", info.name, job.has_base ? "does not take" : "needs"));
  if (inputs.size() != job.inputs.size())
    throw BadCall(fmt::format("{} tensors were given for {} inputs", inputs.size(), job.inputs.size()));
  if (job.n_models() < info.min_models || job.n_models() > info.max_models)
    throw BadCall(
        fmt::format("{} merges {} to {} models, not {}", info.name, info.min_models, info.max_models, job.n_models()));
  if (job.params.size() != info.params.size())
    throw BadCall(fmt::format("{} has {} parameters, {} were given", info.name, info.params.size(), job.params.size()));
  for (size_t p = 0; p < info.params.size(); ++p) {
    const size_t expected = info.params[p].scope == ParamScope::kShared ? 1 : job.inputs.size();
    if (job.params[p].values.size() != expected)
      throw BadCall(fmt::format("parameter {} needs {} values", info.params[p].name, expected));
  }
  for (size_t p = 0; p < info.params.size(); ++p) CheckValues(info.params[p], job.params[p].values);
  uint64_t n_elems = 1;
  for (const uint64_t extent : job.shape) n_elems *= extent;
  if (n_elems != job.n_elems) throw BadCall(fmt::format("the shape has {} elements, not {}", n_elems, job.n_elems));
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].data == nullptr && job.n_elems > 0) throw BadCall(fmt::format("input {} has no data", i));
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].dtype != job.inputs[i].dtype || !IsFloat(inputs[i].dtype))
      throw BadCall(fmt::format("input {} is not of the job's floating type", i));
  if (!IsFloat(job.out_dtype)) throw BadCall("the output type is not a floating type");
  if (const std::optional<JobProblem> problem = Methods()[job.method].check(job))
    throw Error({.code = problem->code, .message = problem->message, .help = problem->help});
}

// Inputs and output in staging memory of a backend that has a device: the caller's memory is not pinned.
void Stage(std::span<const ConstTensor> inputs, Backend& backend, uint64_t states_bytes, Work* work) {
  const MergeJob& job = *work->job;
  uint64_t bytes = AlignBytes(job.n_elems * ElementBytes(job.out_dtype));
  for (const JobInput& input : job.inputs) bytes += AlignBytes(job.n_elems * ElementBytes(input.dtype));
  backend.AllocateDevice({.unit_bytes = bytes + states_bytes, .n_units = 1});
  std::byte* to = backend.AllocateStaging(std::max<uint64_t>(bytes, 64)).data();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const uint64_t size_bytes = job.n_elems * ElementBytes(inputs[i].dtype);
    if (size_bytes > 0) std::memcpy(to, inputs[i].data, size_bytes);
    work->inputs.push_back(to);
    to += AlignBytes(size_bytes);
  }
  work->output = to;
}

void CheckFindings(const MergeJob& job, const JobState& state) {
  for (uint32_t i = 0; i < job.inputs.size(); ++i)
    if (const std::optional<NonFinite> bad = state.InputNonFinite(i))
      throw Error({.code = ErrorCode::kNumNonFiniteIn,
                   .message = fmt::format("input {} holds {} values that are NaN or infinity, the first at element {}",
                                          i, bad->count, bad->first_index)});
  if (const std::optional<NonFinite> overflow = state.OutputOverflow())
    throw Error({.code = ErrorCode::kNumOverflow,
                 .message = fmt::format("the merge overflows {} at {} elements, the first {}", Info(job.out_dtype).name,
                                        overflow->count, overflow->first_index)});
}

}  // namespace

std::vector<std::byte> MergeTensors(const MergeJob& job, std::span<const ConstTensor> inputs,
                                    const RunOptions& options) {
  CheckFloatMode();
  CheckCall(job, inputs);
  GpuSource gpus;
  gpus.most_gpus = 1;
  const ChosenDevices devices = ChooseDevices(options, gpus);
  try {
    return MergeTensorsOn(job, inputs, *devices.backends[0]);
  } catch (const Error& error) {  // nobody asked for that GPU
    if (options.device != Device::kAuto || error.code() != ErrorCode::kDeviceMemory) throw;
  }
  return MergeTensorsOn(job, inputs, *MakeCpuBackend(options.threads, options.cpu_isa));
}

std::vector<std::byte> MergeTensorsOn(const MergeJob& job, std::span<const ConstTensor> inputs, Backend& backend) {
  const PassList passes = Methods()[job.method].passes(job);
  const std::unique_ptr<JobState> state = backend.NewState(job, passes);
  std::vector<std::byte> output(job.n_elems * ElementBytes(job.out_dtype));
  Work work;
  work.job = &job;
  work.state = state.get();
  work.n_elems = job.n_elems;
  work.last_read = TotalReads(passes);
  const bool stages = backend.Info().keeps();
  if (stages) {
    Stage(inputs, backend, (backend.DeviceStateBytes(job, passes, false) + 255) / 256 * 256, &work);
  } else {
    for (const ConstTensor& input : inputs) work.inputs.push_back(static_cast<const std::byte*>(input.data));
    work.output = output.data();
  }
  backend.Wait(backend.Submit({&work, 1}));
  CheckFindings(job, *state);
  if (stages && !output.empty()) std::memcpy(output.data(), work.output, output.size());
  return output;
}

}  // namespace gpumerge
