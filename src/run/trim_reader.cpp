// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/trim_reader.h"

#define GM_TARGET in_trim_reader
#include "kernels/convert.h"
#include "src/base/text.h"
#include "src/run/memory.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>

namespace gpumerge {
namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds(100);
// Stack and the like.
constexpr uint64_t kThreadBytes = 256 << 10;

float ToFloat(DType dtype, const std::byte* value) {
  const auto as = [&]<class T>(T bits) {
    std::memcpy(&bits, value, sizeof bits);
    return bits;
  };
  switch (dtype) {
    case DType::kF64:
      return in_trim_reader::FromF64(as(double{}));
    case DType::kF32:
      return as(float{});
    case DType::kBF16:
      return in_trim_reader::FromBf16(as(uint16_t{}));
    case DType::kF16:
      return in_trim_reader::FromF16(as(uint16_t{}));
    case DType::kF8E4M3:
      return in_trim_reader::FromF8E4M3(as(uint8_t{}));
    default:
      return in_trim_reader::FromF8E5M2(as(uint8_t{}));
  }
}

}  // namespace

TrimReader::TrimReader(const RunOptions& options, uint64_t budget_bytes, uint64_t worker_bytes, const ModelTrim& trim,
                       const Plan& plan)
    : options_(options),
      trim_(trim),
      plan_(plan),
      files_(plan, nullptr),
      pool_(ThreadsFor(budget_bytes, worker_bytes)),
      chunks_(pool_.n_workers()) {
  // By this thread: the allocator keeps what others free.
  for (TrimChunk& chunk : chunks_) Reserve(&chunk);
  for (const uint64_t item : trim.items) {
    const uint64_t n_chunks = (plan_.items[item].job.n_elems + kTrimChunkElems - 1) / kTrimChunkElems;
    first_chunk_.push_back(first_chunk_.back() + n_chunks);
  }
}

uint64_t TrimReader::InputsOfLargest() const {
  size_t most = 0;
  for (const uint64_t item : trim_.items) most = std::max(most, plan_.items[item].inputs.size());
  return most;
}

// As many as are wanted and fit.
uint32_t TrimReader::ThreadsFor(uint64_t budget_bytes, uint64_t worker_bytes) const {
  const uint64_t each =
      worker_bytes + (InputsOfLargest() * sizeof(float) + sizeof(double)) * kTrimChunkElems + kThreadBytes;
  const uint64_t used = ResidentBytes(false) + worker_bytes;
  const uint64_t available = budget_bytes > used ? budget_bytes - used : 0;
  if (available < each)
    throw Error({.code = ErrorCode::kResMemory,
                 .message = "the memory budget is too small for trim_scope: model with so many models",
                 .found = FormatBytes(budget_bytes),
                 .expected = fmt::format("at least {} bytes ({})", used + each, FormatBytes(used + each)),
                 .help = "give more with --memory"});
  const uint32_t wanted = options_.threads > 0 ? options_.threads : std::max(1u, std::thread::hardware_concurrency());
  return static_cast<uint32_t>(std::min<uint64_t>(wanted, available / each));
}

void TrimReader::ForEachChunk(const std::function<void(const TrimChunk&, uint32_t)>& visit) {
  pool_.Run(first_chunk_.back(), [&](uint64_t number, uint32_t worker) {
    if (worker == 0) Report();  // the caller's thread
    const auto after = std::upper_bound(first_chunk_.begin(), first_chunk_.end(), number);
    const auto place = static_cast<size_t>(after - first_chunk_.begin()) - 1;
    Load(place, (number - first_chunk_[place]) * kTrimChunkElems, &chunks_[worker]);
    visit(chunks_[worker], worker);
  });
}

void TrimReader::Report() {
  const Clock::time_point now = Clock::now();
  if (!options_.on_progress || now - last_report_ < kProgressInterval) return;
  last_report_ = now;
  Progress progress;
  progress.bytes_read = bytes_read_;
  for (const uint64_t item : trim_.items) progress.bytes_to_read += trim_.MostPasses() * plan_.items[item].InputBytes();
  progress.elapsed_seconds = std::chrono::duration<double>(now - start_).count();
  if (!options_.on_progress(progress))
    throw Error({.code = ErrorCode::kCancelled, .message = "stopped before the merge was complete"});
}

void TrimReader::Reserve(TrimChunk* chunk) const {
  chunk->values.resize(InputsOfLargest() * kTrimChunkElems);
  chunk->bytes.resize(kTrimChunkElems * sizeof(double));
}

void TrimReader::Load(size_t place, uint64_t first_elem, TrimChunk* chunk) {
  const PlanItem& item = plan_.items[trim_.items[place]];
  chunk->item = &item;
  chunk->place = place;
  chunk->first_elem = first_elem;
  chunk->n_elems = std::min(kTrimChunkElems, item.job.n_elems - first_elem);
  for (size_t i = 0; i < item.inputs.size(); ++i) {
    const DType dtype = item.job.inputs[i].dtype;
    const uint64_t elem_bytes = ElementBytes(dtype);
    files_.Read(item.inputs[i], first_elem * elem_bytes, chunk->bytes.data(), chunk->n_elems * elem_bytes);
    bytes_read_ += chunk->n_elems * elem_bytes;
    float* values = &chunk->values[i * kTrimChunkElems];
    for (uint64_t j = 0; j < chunk->n_elems; ++j) values[j] = ToFloat(dtype, &chunk->bytes[j * elem_bytes]);
  }
}

}  // namespace gpumerge
