// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The checksums that others publish of their files: SHA-256, and SHA-1 as git and the Hugging Face hub name small files
// by. For comparing only; what this program itself writes is in hash.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace gpumerge {

enum class DigestKind : uint8_t {
  kSha256,
  kGitSha1,  // of git's blob: "blob <size>\0" and the contents
};

// Streaming. Movable. Not thread-safe.
class Digest {
 public:
  // size_bytes: of what will be hashed; git's form begins with it.
  Digest(DigestKind kind, uint64_t size_bytes);
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  void Update(const void* data, size_t size_bytes);
  // Lower-case hex digits; ends the digest.
  std::string Hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gpumerge
