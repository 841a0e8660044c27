// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// xxHash behind two names. Where the library was built with run-time dispatch (Debian and Ubuntu on x86), its AVX2 and
// AVX-512 forms are used: 4 times the SSE2 form, and no code of ours depends on the instruction set.
#include "src/base/hash.h"

#if __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#include <fmt/format.h>

#include <new>
#include <utility>

namespace gpumerge {

uint64_t NameHash(std::string_view name) { return XXH64(name.data(), name.size(), 0); }

uint64_t LineHash(std::string_view line) { return XXH3_64bits(line.data(), line.size()); }

// XXH3_createState aligns to 64 bytes and keeps the layout private to the library.
struct ContentHash::State {
  State() : xxh(XXH3_createState()) {
    if (xxh == nullptr) throw std::bad_alloc();
  }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  XXH3_state_t* xxh;
};

ContentHash::ContentHash() : state_(std::make_unique<State>()) { Reset(); }
ContentHash::~ContentHash() = default;
ContentHash::ContentHash(ContentHash&&) noexcept = default;
ContentHash& ContentHash::operator=(ContentHash&&) noexcept = default;

void ContentHash::Reset() { XXH3_128bits_reset(state_->xxh); }

void ContentHash::Update(const void* data, size_t size_bytes) {
  if (size_bytes != 0) XXH3_128bits_update(state_->xxh, data, size_bytes);
}

std::string ContentHash::Hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string HashText(std::string_view text) {
  ContentHash hash;
  hash.Update(text.data(), text.size());
  return hash.Hex();
}

}  // namespace gpumerge
