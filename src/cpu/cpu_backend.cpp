// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cpu/cpu_backend.h"

#include <chrono>
#include <map>
#include <sched.h>
#include <sys/mman.h>

namespace gpumerge {
namespace {

uint32_t UsableCores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  return static_cast<uint32_t>(std::max(1, CPU_COUNT(&cores)));
}

Reading StepOf(const PassList& passes, uint32_t reading) {
  const PassReading place = ReadingOf(passes, reading);
  switch (passes[place.pass].kind) {
    case PassKind::kSelect:
      return {place.pass, place.nth == 0 ? Step::kBeginSelect : Step::kCountBracket};
    case PassKind::kReduce:
      return {place.pass, Step::kReduce};
    case PassKind::kReduceGroups:
      return {place.pass, Step::kReduceGroups};
    case PassKind::kMap:
      break;
  }
  return {place.pass, Step::kMap};
}

uint64_t MostSelections(const PassList& passes) {
  uint64_t most = 0;
  for (const PassInfo& pass : passes)
    if (pass.kind == PassKind::kSelect) most = std::max<uint64_t>(most, pass.n_values);
  return most;
}

bool Ranks(const PassList& passes) {
  return std::any_of(passes.begin(), passes.end(), [](const PassInfo& pass) { return pass.ranks; });
}

}  // namespace

uint64_t RangeElems(const MergeJob& job, const PassInfo& pass) {
  if (!NeedsWholeRows({pass}) || job.n_elems == 0) return kRangeElems;
  const uint64_t least = RowBlockElems(job);
  return std::max<uint64_t>(1, kRangeElems / least) * least;
}

void Worker::ReserveRanks(uint64_t n_words) {
  if (n_words <= n_rank_words) return;
  FreeRanks();  // never twice in memory
  rank_words = std::make_unique_for_overwrite<uint64_t[]>(n_words);
  n_rank_words = n_words;
}

void Worker::FreeRanks() {
  rank_words.reset();
  n_rank_words = 0;
}

void Worker::Reserve(const MergeJob& job, const PassList& passes) {
  if (ScratchFloats(job, passes) > scratch_floats) {
    scratch_floats = ScratchFloats(job, passes);
    const size_t bytes = (scratch_floats * sizeof(float) + 63) / 64 * 64;
    scratch.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (!scratch) throw std::bad_alloc();
    std::memset(scratch.get(), 0, bytes);
  }
  if (findings.size() < job.inputs.size() + 1) findings.resize(job.inputs.size() + 1);
}

CpuBackend::CpuBackend(uint32_t threads, const std::string& isa)
    : isa_(ChooseIsa(isa)), workers_(threads == 0 ? UsableCores() : threads) {
  std::map<std::string_view, void (*)(const RangeContext&)> by_name;
  for (CpuMethodsOfFile file : isa_.files)
    for (const CpuMethod& method : file()) by_name[method.name] = method.run;
  for (const MethodRow& row : Methods()) run_.push_back(by_name.at(row.info->name));
}

BackendInfo CpuBackend::Info() const {
  const uint32_t n = n_workers();
  return {"cpu", std::string(isa_.isa) + ", " + std::to_string(n) + (n == 1 ? " thread" : " threads"), true};
}

uint64_t CpuBackend::StateBytes(const MergeJob& job, const PassList& passes) const {
  uint64_t bytes = sizeof(CpuJobState) + job.inputs.size() * 256;
  const uint64_t n_blocks = job.n_elems / kBlockElems + 1;
  bytes += n_blocks * sizeof(RoundingLoss);
  uint64_t group_values = 0;
  for (const PassInfo& pass : passes) {
    if (pass.kind == PassKind::kReduce) bytes += n_blocks * pass.n_values * sizeof(double);
    if (pass.kind == PassKind::kSelect) bytes += (job.n_elems / kRangeElems + 1) * pass.n_values * sizeof(uint64_t);
    if (pass.kind != PassKind::kReduceGroups) continue;
    group_values = job.n_groups(pass.axis) * pass.n_group_values;
    if (pass.axis == GroupAxis::kColumns) bytes += job.n_groups(pass.axis) * pass.n_values * sizeof(double);
  }
  return bytes + group_values * sizeof(double);
}

uint64_t CpuBackend::FixedBytes(std::span<const MergeJob* const> jobs) const {
  uint64_t scratch = 0, bins = 0, rank_words = 0, few_rank_words = 0;
  for (const MergeJob* job : jobs) {
    const PassList passes = Methods()[job->method].passes(*job);
    scratch = std::max(scratch, ScratchFloats(*job, passes) * sizeof(float));
    // Of one that all threads count, and of small ones of their own.
    const uint64_t bins_each = job->n_elems > kSerialElems ? kMaxBins + kSmallBins : kSmallBins;
    bins = std::max(bins, MostSelections(passes) * bins_each);
    if (!Ranks(passes)) continue;
    const bool few = n_rank_pieces(*job) < workers_.size();  // see IsAlone
    (few ? few_rank_words : rank_words) =
        std::max(few ? few_rank_words : rank_words, n_rank_pieces(*job) * RankWords(*job));
  }
  return n_workers() * (scratch + bins * sizeof(KeyBin<uint32_t>)) + bins * sizeof(KeyBin<uint64_t>) +
         (rank_words + few_rank_words) * sizeof(uint64_t);
}

// Every worker may have a small tensor. The ranges of a large one may be fewer than workers.
uint64_t CpuBackend::n_rank_pieces(const MergeJob& job) const {
  const uint64_t range_elems = RangeElems(job, {.kind = PassKind::kMap, .ranks = true});
  const uint64_t n_ranges = (job.n_elems + range_elems - 1) / range_elems;
  return job.n_elems <= kSerialElems ? workers_.size() : std::min<uint64_t>(n_ranges, workers_.size());
}

uint64_t CpuBackend::Submit(std::span<const Work> batch) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<const Work*> small;
  for (const Work& work : batch) {
    if (work.n_elems <= kSerialElems && work.first_elem == 0 && work.n_elems == work.job->n_elems) {
      small.push_back(&work);
    } else {
      RunReadings(work, std::nullopt);
    }
  }
  if (!small.empty())
    Pool().Run(small.size(), [&](uint64_t number, uint32_t worker) { RunReadings(*small[number], worker); });
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return 0;
}

void CpuBackend::RunReadings(const Work& work, std::optional<uint32_t> only) {
  CpuJobState& state = *static_cast<CpuJobState*>(work.state);
  for (uint32_t w = 0; w < workers_.size(); ++w)
    if (!only || *only == w) workers_[w].Reserve(*work.job, state.passes());
  for (uint32_t r = work.first_read; r < work.last_read; ++r) {
    const Reading reading = StepOf(state.passes(), r);
    if (reading.step == Step::kBeginSelect && HoldsWholeSelect(work, r)) {
      SelectWhole(work, state, reading.pass, only);
      ++r;  // is done as well
      continue;
    }
    for (uint32_t p = 0; p < reading.pass; ++p)
      if (state.passes()[p].kind == PassKind::kSelect) ResolveTies(work, state, p, only);
    switch (reading.step) {
      case Step::kReduce:
        RunReduce(work, state, reading.pass, only);
        break;
      case Step::kReduceGroups:
        RunReduceGroups(work, state, reading.pass, only);
        break;
      case Step::kMap:
        RunMap(work, state, reading.pass, only);
        break;
      default:
        CountPart(work, state, reading, only);
        break;
    }
  }
  if (!only)
    for (Worker& worker : workers_) FreeFewRanks(*work.job, &worker);
}

void CpuBackend::SetInputs(const Work& work, uint64_t first, const std::byte** inputs) {
  for (size_t i = 0; i < work.inputs.size(); ++i)
    inputs[i] = work.inputs[i] + first * ElementBytes(work.job->inputs[i].dtype);
}

RangeContext CpuBackend::Context(const Work& work, CpuJobState& state, Reading reading, uint32_t worker, uint64_t first,
                                 uint64_t n, const std::byte* const* inputs) {
  RangeContext context;
  context.job = work.job;
  context.passes = state.views();
  context.pass = reading.pass;
  context.step = reading.step;
  context.first_elem = work.first_elem + first;
  context.n_elems = n;
  context.row_elems = work.job->row_elems();
  context.n_columns = work.job->n_groups(GroupAxis::kColumns);
  context.inputs = inputs;
  context.scratch = workers_[worker].scratch.get();
  if (state.passes()[reading.pass].ranks) workers_[worker].ReserveRanks(RankWords(*work.job));
  context.rank_words = workers_[worker].rank_words.get();
  context.n_group_values = GroupValues(state.passes());
  context.group_values = state.group_values().data();
  return context;
}

void CpuBackend::RunMap(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  const size_t n_findings = work.job->inputs.size() + 1;
  const auto chosen = [&](uint32_t w) { return !only || *only == w; };
  for (uint32_t w = 0; w < workers_.size(); ++w) {
    if (!chosen(w)) continue;
    std::fill_n(workers_[w].findings.begin(), n_findings, RangeFinding{});
    workers_[w].used_lerp = false;
    workers_[w].problem = nullptr;
  }
  const auto run = [&](uint64_t, uint32_t worker, uint64_t first, uint64_t n) {
    const std::byte* inputs[kMaxInputs];
    SetInputs(work, first, inputs);
    RangeContext context = Context(work, state, {pass, Step::kMap}, worker, first, n, inputs);
    context.output = work.output + first * ElementBytes(work.job->out_dtype);
    context.findings = workers_[worker].findings.data();
    context.used_lerp = &workers_[worker].used_lerp;
    context.problem = &workers_[worker].problem;
    context.block_losses = state.block_losses().data() + context.first_elem / kBlockElems;
    // A worker's ranges ascend, so the first finding it notes is its lowest.
    RunRange(context);
  };
  ForRanges(work.n_elems, only, run, RangeElems(*work.job, state.passes()[pass]));
  for (uint32_t w = 0; w < workers_.size(); ++w) {
    if (!chosen(w)) continue;
    state.AddFindings({workers_[w].findings.data(), n_findings});
    state.used_lerp = state.used_lerp || workers_[w].used_lerp;
    if (workers_[w].problem != nullptr) state.problem = workers_[w].problem;
  }
}

std::span<std::byte> CpuBackend::AllocateStaging(uint64_t bytes) {
  // Whole huge pages: first touch of 4 KiB pages would cost more than the copy that touches them.
  constexpr uint64_t kHugePage = 2 << 20;
  staging_ = static_cast<std::byte*>(std::aligned_alloc(kHugePage, (bytes + kHugePage - 1) / kHugePage * kHugePage));
  if (staging_ == nullptr)
    throw Error({.code = ErrorCode::kResMemory,
                 .message = "the memory for staging cannot be allocated",
                 .expected = std::to_string(bytes) + " bytes",
                 .help = "give less with --memory"});
  if (bytes >= kHugePage) madvise(staging_, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return {staging_, bytes};
}

std::unique_ptr<Backend> MakeCpuBackend(uint32_t threads, const std::string& isa) {
  return std::make_unique<CpuBackend>(threads, isa);
}

}  // namespace gpumerge
