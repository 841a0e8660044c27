// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Two small reads per file: the length, then the header.
#include "src/io/weight_file.h"

#include "src/base/file_identity.h"
#include "src/io/safetensors_layout.h"

#include "gpumerge/error.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace gpumerge {
namespace {

// A header length may begin like a pickle (0x80, protocol) or a zip archive, but only a header goes on with '{' or
// blank.
bool LooksLikePickle(std::string_view first_bytes) {
  if (first_bytes.size() <= kHeaderLengthBytes) return false;
  if (std::string_view("{ \t\r\n").find(first_bytes[kHeaderLengthBytes]) != std::string_view::npos) return false;
  const bool is_pickle = first_bytes[0] == '\x80' && first_bytes[1] >= 2 && first_bytes[1] <= 5;
  return is_pickle || first_bytes.starts_with("PK\x03\x04");
}

}  // namespace

WeightHeader ReadWeightHeader(const UniqueFd& fd, const std::string& path) {
  WeightHeader weights;
  weights.file.path = path;
  weights.file.identity = IdentifyOpenFile(fd.get(), path);
  const uint64_t size_bytes = weights.file.identity.size_bytes;
  std::array<char, kHeaderLengthBytes + 1> first{};
  const size_t n_first = static_cast<size_t>(std::min<uint64_t>(first.size(), size_bytes));
  ReadFully(fd.get(), 0, first.data(), n_first, path);
  const std::string_view first_bytes(first.data(), n_first);
  if (LooksLikePickle(first_bytes)) {
    throw Error({.code = ErrorCode::kInPickle,
                 .message = "the file is a pickle checkpoint (.bin, .pt), whatever its name says",
                 .where = path,
                 .found = {},
                 .expected = "safetensors",
                 .help = "a pickle can run code when it is loaded; convert it with safetensors.torch.save_file"});
  }
  const uint64_t length_bytes = ParseHeaderLength(first_bytes.substr(0, kHeaderLengthBytes), size_bytes, path);
  std::string json(static_cast<size_t>(length_bytes), '\0');
  ReadFully(fd.get(), kHeaderLengthBytes, json.data(), json.size(), path);
  SafetensorsHeader header = ParseSafetensorsHeader(json, size_bytes, path);
  weights.file.data_begin_bytes = header.data_begin_bytes;
  weights.file.metadata = std::move(header.metadata);
  weights.tensors = std::move(header.tensors);
  return weights;
}

void AppendWeights(WeightHeader header, ModelFiles* model) {
  const auto file = static_cast<uint32_t>(model->files.size());
  for (HeaderTensor& tensor : header.tensors) {
    model->tensors.push_back({.name = std::move(tensor.name),
                              .dtype = tensor.dtype,
                              .shape = std::move(tensor.shape),
                              .file = file,
                              .offset_bytes = header.file.data_begin_bytes + tensor.offset_bytes,
                              .size_bytes = tensor.size_bytes});
  }
  model->files.push_back(std::move(header.file));
}

}  // namespace gpumerge
