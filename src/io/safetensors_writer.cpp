// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Writes headers as the reference writer spells them, so that equal contents give equal files.
#include "src/base/text.h"
#include "src/io/safetensors_header.h"
#include "src/io/safetensors_layout.h"
#include "src/io/strict_json.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <iterator>

namespace gpumerge {
namespace {

[[noreturn]] void Fail(ErrorCode code, std::string message, std::string help) {
  throw Error({.code = code, .message = std::move(message), .where = {}, .found = {}, .expected = {}, .help = help});
}

// Names that would make a file nobody can read.
void CheckWritable(const std::string& name) {
  if (name.empty() || name == "__metadata__")
    Fail(ErrorCode::kStName, fmt::format("a tensor cannot be called \"{}\" in a safetensors file", name), {});
}

}  // namespace

std::string MakeSafetensorsHeader(const std::vector<HeaderTensor>& tensors,
                                  const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::string header(kHeaderLengthBytes, '\0');
  header += '{';
  std::string_view separator = "";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      header.append(separator).append(QuoteHeaderString(key)).append(":").append(QuoteHeaderString(value));
      separator = ",";
    }
    header += '}';
  }
  uint64_t offset_bytes = 0;
  for (const HeaderTensor& tensor : tensors) {
    CheckWritable(tensor.name);
    uint64_t end_bytes = 0;
    if (__builtin_add_overflow(offset_bytes, tensor.size_bytes, &end_bytes))
      Fail(ErrorCode::kStOverflow, "the tensors of one file need more than 2^64 bytes", {});
    fmt::format_to(std::back_inserter(header), "{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                   separator, QuoteHeaderString(tensor.name), Info(tensor.dtype).name, fmt::join(tensor.shape, ","),
                   offset_bytes, end_bytes);
    separator = ",";
    offset_bytes = end_bytes;
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const uint64_t length_bytes = header.size() - kHeaderLengthBytes;
  if (length_bytes > kMaxHeaderBytes)
    Fail(ErrorCode::kResLimit,
         fmt::format("the header of one file would have {} bytes; readers accept at most {}", length_bytes,
                     kMaxHeaderBytes),
         "write smaller files with --shard-size");
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(header.data(), &length_bytes, kHeaderLengthBytes);
  return header;
}

}  // namespace gpumerge
