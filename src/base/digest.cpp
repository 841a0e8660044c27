// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// OpenSSL's libcrypto, for its use of the CPU's SHA instructions: checksums of whole models are hundreds of gigabytes.
#include "src/base/digest.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <array>
#include <new>
#include <openssl/evp.h>

namespace gpumerge {
namespace {

// Systems that forbid SHA-1 say so here.
void Check(int status) {
  if (status == 1) return;
  throw Error({.code = ErrorCode::kInHash,
               .message = "this system's OpenSSL refuses the checksum's kind",
               .help = "give SHA-256 checksums with --manifest"});
}

}  // namespace

struct Digest::State {
  State() : context(EVP_MD_CTX_new()) {
    if (context == nullptr) throw std::bad_alloc();
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  EVP_MD_CTX* context;
};

Digest::Digest(DigestKind kind, uint64_t size_bytes) : state_(std::make_unique<State>()) {
  Check(EVP_DigestInit_ex(state_->context, kind == DigestKind::kSha256 ? EVP_sha256() : EVP_sha1(), nullptr));
  if (kind == DigestKind::kSha256) return;
  const std::string head = fmt::format("blob {}", size_bytes);
  Update(head.c_str(), head.size() + 1);  // with the NUL
}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::Update(const void* data, size_t size_bytes) {
  if (size_bytes != 0) Check(EVP_DigestUpdate(state_->context, data, size_bytes));
}

std::string Digest::Hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned size_bytes = 0;
  Check(EVP_DigestFinal_ex(state_->context, bytes.data(), &size_bytes));
  std::string hex;
  for (unsigned i = 0; i < size_bytes; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

}  // namespace gpumerge
