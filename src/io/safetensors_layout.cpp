// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The same rules, in the same order, as the reference validator; only the words differ.
#include "src/io/safetensors_layout.h"

#include "src/base/text.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <tuple>
#include <utility>

namespace gpumerge {
namespace {

class LayoutCheck {
 public:
  LayoutCheck(SafetensorsHeader& header, uint64_t file_size_bytes, const std::string& file)
      : header_(header), file_size_bytes_(file_size_bytes), file_(file) {}

  void Run() {
    for (const HeaderTensor& tensor : header_.tensors) CheckSize(tensor);
    // Stable: empty tensors at one place stay in the header's order. Sorting takes memory, and most files are sorted.
    const auto is_before = [](const HeaderTensor& a, const HeaderTensor& b) {
      return std::tie(a.offset_bytes, a.size_bytes) < std::tie(b.offset_bytes, b.size_bytes);
    };
    if (!std::is_sorted(header_.tensors.begin(), header_.tensors.end(), is_before))
      std::stable_sort(header_.tensors.begin(), header_.tensors.end(), is_before);
    CheckEnd(CheckTiling());
  }

 private:
  [[noreturn]] void Fail(ErrorCode code, std::string message, std::string found, std::string expected,
                         std::string help = "the file breaks the safetensors rules; get it again") const {
    throw Error({.code = code,
                 .message = std::move(message),
                 .where = file_,
                 .found = std::move(found),
                 .expected = std::move(expected),
                 .help = std::move(help)});
  }

  static std::string Quote(const HeaderTensor& tensor) {
    return fmt::format("tensor \"{}\"", EscapeForTerminal(tensor.name));
  }

  // Multiplied in the shape's order, as the reference does: [2^32, 2^32, 0] overflows, [0, 2^32, 2^32] does not.
  void CheckSize(const HeaderTensor& tensor) const {
    const DTypeInfo& type = Info(tensor.dtype);
    uint64_t n_bits = 1;
    bool overflows = false;
    for (const uint64_t extent : tensor.shape) overflows |= __builtin_mul_overflow(n_bits, extent, &n_bits);
    overflows |= __builtin_mul_overflow(n_bits, uint64_t{type.bits}, &n_bits);
    if (overflows)
      Fail(ErrorCode::kStOverflow, Quote(tensor) + ": the size that its shape means does not fit 64 bits",
           fmt::format("{} [{}]", type.name, fmt::join(tensor.shape, ", ")), "a product of at most 2^64 - 1 bits");
    if (n_bits % 8 != 0)
      Fail(ErrorCode::kStSize, Quote(tensor) + " does not end at a whole byte",
           fmt::format("{} [{}]: {} bits", type.name, fmt::join(tensor.shape, ", "), n_bits), "a multiple of 8 bits");
    if (n_bits / 8 != tensor.size_bytes)
      Fail(ErrorCode::kStSize, Quote(tensor) + ": data_offsets do not span what shape and dtype need",
           fmt::format("{} bytes in data_offsets", tensor.size_bytes),
           fmt::format("{} bytes for {} [{}]", n_bits / 8, type.name, fmt::join(tensor.shape, ", ")));
  }

  // Each tensor begins where the one before ended; returns where the last one ends.
  uint64_t CheckTiling() const {
    uint64_t end_bytes = 0;
    for (const HeaderTensor& tensor : header_.tensors) {
      if (tensor.offset_bytes != end_bytes) FailTiling(tensor, end_bytes);
      end_bytes += tensor.size_bytes;  // cannot overflow: it is an end that the header gave in 64 bits
    }
    return end_bytes;
  }

  [[noreturn]] void FailTiling(const HeaderTensor& tensor, uint64_t end_bytes) const {
    const uint64_t begin_bytes = tensor.offset_bytes;
    const std::string found = fmt::format("begin={}", begin_bytes), expected = fmt::format("begin={}", end_bytes);
    if (begin_bytes > end_bytes)
      Fail(ErrorCode::kStHole,
           fmt::format("{}: data_offsets leave bytes {}..{} of the data section unused", Quote(tensor), end_bytes,
                       begin_bytes),
           found, expected, "the file breaks the safetensors rule \"no holes\"; get it again");
    Fail(ErrorCode::kStOverlap,
         fmt::format("{} shares bytes {}..{} of the data section with another tensor", Quote(tensor), begin_bytes,
                     end_bytes),
         found, expected);
  }

  void CheckEnd(uint64_t end_bytes) const {
    const std::string found = fmt::format("{} bytes", file_size_bytes_);
    const uint64_t begin_bytes = header_.data_begin_bytes;
    const uint64_t available_bytes = file_size_bytes_ < begin_bytes ? 0 : file_size_bytes_ - begin_bytes;
    if (file_size_bytes_ < begin_bytes || end_bytes > available_bytes)
      Fail(ErrorCode::kStTruncated,
           fmt::format("the file is shorter than its header says: {} bytes of tensor data are missing",
                       end_bytes - available_bytes),
           found, fmt::format("{} bytes of header and {} bytes of data", begin_bytes, end_bytes),
           "the download was probably interrupted; get the file again");
    if (end_bytes < available_bytes)
      Fail(ErrorCode::kStTrailing,
           fmt::format("the file goes on for {} bytes after its last tensor", available_bytes - end_bytes), found,
           fmt::format("{} bytes", begin_bytes + end_bytes));
  }

  SafetensorsHeader& header_;
  uint64_t file_size_bytes_;
  const std::string& file_;
};

// What people rename to .safetensors, or get instead of it.
std::string_view HelpForFirstBytes(std::string_view first_bytes) {
  if (first_bytes.starts_with("version ")) return "this is a Git LFS pointer, not the file: run `git lfs pull`";
  if (first_bytes.starts_with("<")) return "this looks like a web page saved instead of the file; download it again";
  if (first_bytes.starts_with("GGUF")) return "this is a GGUF file; gpumerge reads safetensors";
  return "the file is damaged or not safetensors; download it again";
}

}  // namespace

uint64_t ParseHeaderLength(std::string_view first_8_bytes, uint64_t file_size_bytes, const std::string& file) {
  const auto fail = [&](ErrorCode code, std::string message, std::string found, std::string expected,
                        std::string_view help) {
    throw Error({.code = code,
                 .message = std::move(message),
                 .where = file,
                 .found = std::move(found),
                 .expected = std::move(expected),
                 .help = std::string(help)});
  };
  constexpr std::string_view kInterrupted = "the download was probably interrupted; get the file again";
  if (first_8_bytes.size() < kHeaderLengthBytes)
    fail(ErrorCode::kStTruncated, "the file is too short to be safetensors", fmt::format("{} bytes", file_size_bytes),
         "at least 8 bytes of header length and a header", kInterrupted);
  uint64_t length_bytes = 0;
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(&length_bytes, first_8_bytes.data(), kHeaderLengthBytes);
  if (length_bytes < 2 || length_bytes > kMaxHeaderBytes)
    fail(ErrorCode::kStHeaderLength, "the header length in the first 8 bytes is impossible",
         fmt::format("{}", length_bytes), fmt::format("2 to {}", kMaxHeaderBytes), HelpForFirstBytes(first_8_bytes));
  if (file_size_bytes < kHeaderLengthBytes || length_bytes > file_size_bytes - kHeaderLengthBytes)
    fail(ErrorCode::kStTruncated, "the file ends inside its header", fmt::format("{} bytes", file_size_bytes),
         fmt::format("{} bytes of header and the data ({} bytes are missing at least)",
                     length_bytes + kHeaderLengthBytes, length_bytes + kHeaderLengthBytes - file_size_bytes),
         kInterrupted);
  return length_bytes;
}

void CheckLayout(SafetensorsHeader& header, uint64_t file_size_bytes, const std::string& file) {
  LayoutCheck(header, file_size_bytes, file).Run();
}

}  // namespace gpumerge
