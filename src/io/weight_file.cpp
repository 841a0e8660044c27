// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Two small reads per file: the length, then the header.
#include "src/io/weight_file.h"

#include "src/base/system_calls.h"
#include "src/io/safetensors_layout.h"

#include "gpumerge/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <sys/stat.h>

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

int64_t Nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

FileIdentity IdentityOf(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size_bytes = static_cast<uint64_t>(status.st_size),
          .mtime_ns = Nanoseconds(status.st_mtim),
          .ctime_ns = Nanoseconds(status.st_ctim)};
}

}  // namespace

std::optional<FileIdentity> IdentifyFile(const std::string& path) {
  struct stat status {};
  if (Sys().Stat(path.c_str(), &status) != 0) return std::nullopt;
  return IdentityOf(status);
}

FileIdentity IdentifyOpenFile(int fd, const std::string& path) {
  struct stat status {};
  if (Sys().Fstat(fd, &status) == 0) return IdentityOf(status);
  throw Error({.code = ErrorCode::kInIo,
               .message = "cannot look at the input: " + ErrnoText(errno),
               .where = path,
               .found = {},
               .expected = {},
               .help = {}});
}

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
