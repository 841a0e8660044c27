// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/overflow.h"

#include <cstring>

namespace gpumerge {
namespace {

// The types' patterns without the sign: infinity is 1 above the largest finite value (in E4M3 that is NaN).
template <class Stored>
void Settle(Stored magnitude_mask, Stored infinity, bool saturate, std::byte* data, uint64_t n_elems,
            Overflowed* found) {
  for (uint64_t i = 0; i < n_elems; ++i) {
    Stored stored;
    std::memcpy(&stored, data + i * sizeof stored, sizeof stored);
    const auto magnitude = static_cast<Stored>(stored & magnitude_mask);
    if (magnitude < infinity) continue;
    if (magnitude > infinity) {
      ++found->n_nan;
      continue;
    }
    ++found->n_values;
    if (!saturate) continue;
    stored = static_cast<Stored>(stored - 1);  // the magnitude is in the low bits
    std::memcpy(data + i * sizeof stored, &stored, sizeof stored);
  }
}

}  // namespace

void SettleOverflow(DType dtype, OverflowPolicy policy, std::byte* data, uint64_t n_elems, Overflowed* found) {
  const bool saturate = policy == OverflowPolicy::kSaturate;
  switch (dtype) {
    case DType::kF64:
      return Settle<uint64_t>(0x7fffffffffffffff, 0x7ff0000000000000, saturate, data, n_elems, found);
    case DType::kF32:
      return Settle<uint32_t>(0x7fffffff, 0x7f800000, saturate, data, n_elems, found);
    case DType::kBF16:
      return Settle<uint16_t>(0x7fff, 0x7f80, saturate, data, n_elems, found);
    case DType::kF16:
      return Settle<uint16_t>(0x7fff, 0x7c00, saturate, data, n_elems, found);
    case DType::kF8E5M2:
      return Settle<uint8_t>(0x7f, 0x7c, saturate, data, n_elems, found);
    case DType::kF8E4M3:
      return Settle<uint8_t>(0x7f, 0x7f, saturate, data, n_elems, found);
    default:
      return;
  }
}

}  // namespace gpumerge
