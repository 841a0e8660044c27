// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whether a header's tensor table fits itself and its file: sizes follow from shapes, and the tensors tile the data
// section from its first byte to the end of the file. No I/O. Thread-safe.
#pragma once

#include "src/io/safetensors_header.h"

#include <cstdint>
#include <string>

namespace gpumerge {

// Every file begins with its header's length.
inline constexpr uint64_t kHeaderLengthBytes = 8;

// Sorts header->tensors into data order. Throws Error(ST-OVERFLOW, ST-SIZE, ST-HOLE, ST-OVERLAP, ST-TRUNCATED,
// ST-TRAILING).
void CheckLayout(SafetensorsHeader& header, uint64_t file_size_bytes, const std::string& file);

}  // namespace gpumerge
