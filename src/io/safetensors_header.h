// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The safetensors header: bytes <-> tensor table. No I/O. Strict: accepts a subset of what the reference validator
// accepts (README.md lists the deliberate extra refusals), and every defect has its own error code.
#pragma once

#include "gpumerge/dtype.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge {

inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;

struct HeaderTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<uint64_t> shape;
  uint64_t offset_bytes = 0;  // from the beginning of the data section
  uint64_t size_bytes = 0;
};

struct SafetensorsHeader {
  std::vector<HeaderTensor> tensors;                          // in data order
  std::vector<std::pair<std::string, std::string>> metadata;  // in file order
  uint64_t data_begin_bytes = 0;                              // from the beginning of the file: 8 + header length
};

// The header length from a file's first 8 bytes, checked against the file's size. `file` is for messages.
// Throws Error(ST-HDRLEN, ST-TRUNCATED).
uint64_t ParseHeaderLength(std::string_view first_8_bytes, uint64_t file_size_bytes, const std::string& file);

// json: exactly the header's bytes after the length. Throws Error(ST-*).
SafetensorsHeader ParseSafetensorsHeader(std::string_view json, uint64_t file_size_bytes, const std::string& file);

// The length and JSON that precede the data of tensors laid out in this order without gaps, padded with spaces so that
// the data begins at a multiple of 8 bytes; byte for byte what the reference writer makes of the same order and
// metadata. offset_bytes of the tensors are ignored and recomputed.
std::string MakeSafetensorsHeader(const std::vector<HeaderTensor>& tensors,
                                  const std::vector<std::pair<std::string, std::string>>& metadata);

}  // namespace gpumerge
