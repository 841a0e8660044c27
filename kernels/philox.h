// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11): a stateless generator, so that
// the random bits of an element do not depend on threads, chunks, devices or order. The counter layout is cuRAND's:
//   key = 64-bit seed; ctr.x = element / 4, ctr.y = model's index in config order, ctr.z, ctr.w = low, high word of
//   XXH64 of the output tensor's name; the element's word is number element % 4.
#pragma once

#include "kernels/number.h"

#include <cstdint>

namespace gpumerge::GM_TARGET {

struct PhiloxKey {
  uint32_t key_low, key_high;    // seed
  uint32_t name_low, name_high;  // ctr.z, ctr.w
};

GM_HD PhiloxKey MakePhiloxKey(uint64_t seed, uint64_t name_hash) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(name_hash),
          static_cast<uint32_t>(name_hash >> 32)};
}

// Words are of a type that has ^ and this product: uint32_t, or several of them at once.
template <class Words>
struct WordProduct {
  Words low, high;
};
GM_HD WordProduct<uint32_t> MultiplyWords(uint32_t factor, uint32_t word) {
  const uint64_t product = static_cast<uint64_t>(factor) * word;
  return {static_cast<uint32_t>(product), static_cast<uint32_t>(product >> 32)};
}

// The 4 words of elements 4 * block to 4 * block + 3.
template <class Words>
GM_HD void Philox(const PhiloxKey& key, uint32_t model, Words block, Words* words) {
  Words c0 = block, c1(model), c2(key.name_low), c3(key.name_high);
  uint32_t k0 = key.key_low, k1 = key.key_high;
  for (int round = 0; round < 10; ++round) {
    const WordProduct<Words> p0 = MultiplyWords(0xD2511F53u, c0), p1 = MultiplyWords(0xCD9E8D57u, c2);
    c0 = p1.high ^ c1 ^ Words(k0);
    c1 = p1.low;
    c2 = p0.high ^ c3 ^ Words(k1);
    c3 = p0.low;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

}  // namespace gpumerge::GM_TARGET
