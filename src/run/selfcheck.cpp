// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/selfcheck.h"

#define GM_TARGET in_selfcheck
#include "kernels/convert.h"
#include "src/base/hash.h"
#include "src/base/text.h"
#include "src/base/trace_range.h"
#include "src/run/item_check.h"
#include "src/run/non_finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace gpumerge {
namespace {

uint64_t InputBytes(const PlanItem& item) {
  uint64_t bytes = 64;
  for (const PlanInput& input : item.inputs) bytes += AlignBytes(input.size_bytes);
  return bytes;
}

double ValueOf(DType dtype, uint64_t bits) {
  switch (dtype) {
    case DType::kF64:
      return std::bit_cast<double>(bits);
    case DType::kF32:
      return in_selfcheck::FromBits(static_cast<uint32_t>(bits));
    case DType::kBF16:
      return in_selfcheck::FromBf16(static_cast<uint16_t>(bits));
    case DType::kF16:
      return in_selfcheck::FromF16(static_cast<uint16_t>(bits));
    case DType::kF8E4M3:
      return in_selfcheck::FromF8E4M3(static_cast<uint8_t>(bits));
    default:
      return in_selfcheck::FromF8E5M2(static_cast<uint8_t>(bits));
  }
}

// "0.5 (0x3f00)"
std::string ValueText(DType dtype, const std::byte* value) {
  uint64_t bits = 0;  // little-endian, as the files are
  std::memcpy(&bits, value, ElementBytes(dtype));
  return fmt::format("{} (0x{:0{}x})", ValueOf(dtype, bits), bits, 2 * ElementBytes(dtype));
}

}  // namespace

std::vector<uint64_t> SelfcheckItems(const Plan& plan, PlanPart part, double percent) {
  std::vector<uint64_t> items;
  if (percent <= 0) return items;
  bool is_first = true;
  for (uint64_t i = part.first; i < part.last; ++i) {
    if (plan.items[i].action != PlanAction::kMerge) continue;
    const double place = static_cast<double>(NameHash(plan.items[i].name) >> 11) * 0x1p-53 * 100;  // in [0, 100)
    if (is_first || place < percent) items.push_back(i);
    is_first = false;
  }
  return items;
}

uint64_t SelfcheckBytes(const Plan& plan, const std::vector<uint64_t>& items, uint64_t n_lanes, uint64_t n_whole) {
  const std::unique_ptr<Backend> reference = MakeReferenceBackend();
  uint64_t work = 0, output = 0, whole_output = 0;
  for (const uint64_t i : items) {
    const PlanItem& item = plan.items[i];
    work = std::max(work, InputBytes(item) + reference->StateBytes(item.job, item.passes));
    output = std::max(output, item.size_bytes + 64);
    if (item.job.n_elems <= PartWorkers::kWholeElems) whole_output = std::max(whole_output, item.size_bytes + 64);
  }
  return work + n_lanes * output + n_whole * whole_output;
}

Selfcheck::Selfcheck(const Plan& plan, PlanPart part, double percent, const InputFiles& files)
    : plan_(plan), files_(files), reference_(MakeReferenceBackend()), chosen_(plan.items.size()) {
  for (const uint64_t item : SelfcheckItems(plan, part, percent)) chosen_[item] = true;
}

void Selfcheck::Compare(uint64_t index, uint64_t first_elem, std::span<const std::byte> output,
                        const std::string& device) {
  if (!chosen_[index]) return;
  const std::lock_guard lock(mutex_);
  const PlanItem& item = plan_.items[index];
  if (first_elem == 0) expected_[index] = Compute(item);
  const uint64_t elem_bytes = ElementBytes(item.job.out_dtype), begin = first_elem * elem_bytes;
  const std::byte* expected = expected_.at(index).data() + begin;
  const auto [differs, as_expected] = std::mismatch(output.begin(), output.end(), expected);
  if (differs != output.end()) {
    const uint64_t in_part = static_cast<uint64_t>(differs - output.begin()) / elem_bytes;
    throw Error({.code = ErrorCode::kSelfcheck,
                 .message = fmt::format("tensor \"{}\" as merged by {} differs from the reference executor's result",
                                        EscapeForTerminal(item.name), device),
                 .where = IndexText(item.job.shape, first_elem + in_part),
                 .found = ValueText(item.job.out_dtype, output.data() + in_part * elem_bytes),
                 .expected = ValueText(item.job.out_dtype, expected + in_part * elem_bytes),
                 .help = "the device or the memory of this machine is faulty, or this is a bug of gpumerge: compare "
                         "with --device cpu"});
  }
  if (begin + output.size() == item.size_bytes) {
    expected_.erase(index);
    ++n_tensors_;
  }
}

std::vector<std::byte> Selfcheck::Compute(const PlanItem& item) const {
  const TraceRange trace("self-check");
  std::vector<std::byte> memory(InputBytes(item)), output(item.size_bytes + 64);
  const auto aligned = [](std::byte* at) { return at + (64 - reinterpret_cast<uintptr_t>(at) % 64) % 64; };
  Work work;
  work.job = &item.job;
  work.n_elems = item.job.n_elems;
  work.last_read = TotalReads(item.passes);
  std::byte* to = aligned(memory.data());
  for (const PlanInput& input : item.inputs) {
    files_.Read(input, 0, to, input.size_bytes);
    work.inputs.push_back(to);
    to += AlignBytes(input.size_bytes);
  }
  const std::unique_ptr<JobState> state = reference_->NewState(item.job, item.passes);
  work.state = state.get();
  work.output = aligned(output.data());
  reference_->Wait(reference_->Submit({&work, 1}));
  const auto first = work.output - output.data();
  output.erase(output.begin(), output.begin() + first);
  output.resize(item.size_bytes);
  if (item.nonfinite == NonFinitePolicy::kAllow) MakeNansAlike(item.job.out_dtype, output.data(), item.job.n_elems);
  return output;
}

}  // namespace gpumerge
