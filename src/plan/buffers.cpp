// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/plan/buffers.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace gpumerge {
namespace {

constexpr std::array<std::string_view, 5> kEndings{".inv_freq", "rope_freqs.weight", ".cos_cached", ".sin_cached",
                                                   ".masked_bias"};
// A projection's bias has one axis, a mask over positions has these: [1, 1, positions, positions].
constexpr std::array<std::string_view, 2> kMasks{".attn.bias", ".attention.bias"};

template <size_t kCount>
bool EndsWithOneOf(std::string_view name, const std::array<std::string_view, kCount>& endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

}  // namespace

bool IsBuffer(const ModelTensor& tensor) {
  if (EndsWithOneOf(tensor.name, kEndings)) return true;
  return EndsWithOneOf(tensor.name, kMasks) && tensor.shape.size() == 4 && tensor.shape[0] == 1 && tensor.shape[1] == 1;
}

}  // namespace gpumerge
