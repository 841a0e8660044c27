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

// The 4 words of elements 4 * block to 4 * block + 3.
GM_HD void Philox(const PhiloxKey& key, uint32_t model, uint32_t block, uint32_t* words) {
  uint32_t c0 = block, c1 = model, c2 = key.name_low, c3 = key.name_high;
  uint32_t k0 = key.key_low, k1 = key.key_high;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c0;
    const uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

}  // namespace gpumerge::GM_TARGET
