// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The hashes that outputs depend on or report: XXH64 of names, XXH3-64 of lines, XXH3-128 of bytes. Kept here so that
// one place decides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace gpumerge {

// XXH64, seed 0, of a tensor's name: keys the random draws (see the contract in README.md).
uint64_t NameHash(std::string_view name);

// XXH3-64, seed 0, of a line of text.
uint64_t LineHash(std::string_view line);

// Streaming XXH3-128, seed 0. Movable. Not thread-safe. Reset() reuses its memory.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(ContentHash&&) noexcept;
  ContentHash& operator=(ContentHash&&) noexcept;

  void Reset();
  void Update(const void* data, size_t size_bytes);
  // 32 lower-case hex digits, as `xxhsum -H2` prints. May be called more than once.
  std::string Hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// XXH3-128 of a text, as ContentHash has it.
std::string HashText(std::string_view text);

}  // namespace gpumerge
