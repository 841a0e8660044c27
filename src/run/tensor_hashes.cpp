// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/run/tensor_hashes.h"

#include "src/base/file.h"
#include "src/base/file_identity.h"
#include "src/base/hash.h"
#include "src/io/contained_open.h"
#include "src/run/memory.h"

#include "gpumerge/error.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace gpumerge {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kPieceBytes = uint64_t{4} << 20;
constexpr auto kReportInterval = std::chrono::milliseconds(100);

UniqueFd OpenUnchanged(const ModelFiles& model, const WeightFile& file) {
  UniqueFd fd = OpenContained(model.location.LinkRoot(), file.path);
  if (!fd) throw FileChanged(file.path);
  CheckOpenUnchanged(fd.get(), file.path, file.identity);
  return fd;
}

}  // namespace

TensorHashes::TensorHashes(uint64_t bytes_to_read, uint64_t tensors_total,
                           std::function<bool(const Progress&)> on_progress)
    : on_progress_(std::move(on_progress)), start_(Clock::now()), next_report_(start_), buffer_(kPieceBytes) {
  progress_.bytes_to_read = bytes_to_read;
  progress_.tensors_total = tensors_total;
}

std::vector<std::string> TensorHashes::Hash(const ModelFiles& model, const std::vector<const ModelTensor*>& tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::tuple(tensors[a]->file, tensors[a]->offset_bytes, a) <
           std::tuple(tensors[b]->file, tensors[b]->offset_bytes, b);
  });
  std::vector<std::string> hashes(tensors.size());
  UniqueFd fd;
  for (size_t i = 0; i < order.size(); ++i) {
    const ModelTensor& tensor = *tensors[order[i]];
    const WeightFile& file = model.files[tensor.file];
    if (i == 0 || tensors[order[i - 1]]->file != tensor.file) fd = OpenUnchanged(model, file);
    hashes[order[i]] = HashOne(fd.get(), tensor, file.path);
    const bool is_last = i + 1 == order.size() || tensors[order[i + 1]]->file != tensor.file;
    if (is_last) OpenUnchanged(model, file);
  }
  return hashes;
}

std::string TensorHashes::HashOne(int fd, const ModelTensor& tensor, const std::string& path) {
  ContentHash hash;
  for (uint64_t done = 0; done < tensor.size_bytes; done += kPieceBytes) {
    const uint64_t piece = std::min(kPieceBytes, tensor.size_bytes - done);
    ReadFully(fd, tensor.offset_bytes + done, buffer_.data(), piece, path);
    hash.Update(buffer_.data(), piece);
    progress_.bytes_read += piece;
    Report();
  }
  ++progress_.tensors_done;
  Report();
  return hash.Hex();
}

void TensorHashes::Report() {
  if (!on_progress_ || Clock::now() < next_report_) return;
  next_report_ = Clock::now() + kReportInterval;
  progress_.elapsed_seconds = progress_.read_seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  progress_.memory_bytes = ResidentBytes(true);
  if (!on_progress_(progress_))
    throw Error({.code = ErrorCode::kCancelled, .message = "stopped before everything was verified"});
}

}  // namespace gpumerge
