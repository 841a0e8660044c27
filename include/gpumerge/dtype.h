// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Element types of safetensors files: one table with their names and widths. Which of them can be merged, which are
// only copied. Thread-safe (constant data).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace gpumerge {

// In the order of the safetensors reference: its writer sorts tensors by this order, descending, then by name.
enum class DType : uint8_t {
  kBool,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

// What a merge may do with a type: arithmetic in fp32, a copy when all models agree, or a byte-exact copy of one model
// only.
enum class DTypeClass : uint8_t { kFloat, kInteger, kOpaque };

struct DTypeInfo {
  DType dtype;
  std::string_view name;        // as safetensors spells it, e.g. "BF16"
  std::string_view torch_name;  // as config.json and recipes spell it, e.g. "bfloat16"; empty: cannot be asked for
  uint16_t bits;                // per element; sub-byte types exist
  DTypeClass dtype_class;
};

inline constexpr std::array<DTypeInfo, 22> kDTypes{{
    {DType::kBool, "BOOL", "", 8, DTypeClass::kInteger},
    {DType::kF4, "F4", "", 4, DTypeClass::kOpaque},
    {DType::kF6E2M3, "F6_E2M3", "", 6, DTypeClass::kOpaque},
    {DType::kF6E3M2, "F6_E3M2", "", 6, DTypeClass::kOpaque},
    {DType::kU8, "U8", "", 8, DTypeClass::kInteger},
    {DType::kI8, "I8", "", 8, DTypeClass::kInteger},
    {DType::kF8E5M2, "F8_E5M2", "float8_e5m2", 8, DTypeClass::kFloat},
    {DType::kF8E4M3, "F8_E4M3", "float8_e4m3fn", 8, DTypeClass::kFloat},
    {DType::kF8E8M0, "F8_E8M0", "", 8, DTypeClass::kOpaque},
    {DType::kF8E4M3Fnuz, "F8_E4M3FNUZ", "", 8, DTypeClass::kOpaque},
    {DType::kF8E5M2Fnuz, "F8_E5M2FNUZ", "", 8, DTypeClass::kOpaque},
    {DType::kI16, "I16", "", 16, DTypeClass::kInteger},
    {DType::kU16, "U16", "", 16, DTypeClass::kInteger},
    {DType::kF16, "F16", "float16", 16, DTypeClass::kFloat},
    {DType::kBF16, "BF16", "bfloat16", 16, DTypeClass::kFloat},
    {DType::kI32, "I32", "", 32, DTypeClass::kInteger},
    {DType::kU32, "U32", "", 32, DTypeClass::kInteger},
    {DType::kF32, "F32", "float32", 32, DTypeClass::kFloat},
    {DType::kC64, "C64", "", 64, DTypeClass::kOpaque},
    {DType::kF64, "F64", "float64", 64, DTypeClass::kFloat},
    {DType::kI64, "I64", "", 64, DTypeClass::kInteger},
    {DType::kU64, "U64", "", 64, DTypeClass::kInteger},
}};

constexpr const DTypeInfo& Info(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }
constexpr bool IsFloat(DType dtype) { return Info(dtype).dtype_class == DTypeClass::kFloat; }
// Bytes of one element; only for types of at least 8 bits.
constexpr uint64_t ElementBytes(DType dtype) { return Info(dtype).bits / 8u; }

// "BF16" -> kBF16; case-sensitive, as the format is.
constexpr std::optional<DType> ParseSafetensorsDType(std::string_view name) {
  for (const DTypeInfo& info : kDTypes)
    if (info.name == name) return info.dtype;
  return std::nullopt;
}

// "bfloat16" or "torch.bfloat16" -> kBF16; only floating types have such names.
constexpr std::optional<DType> ParseTorchDType(std::string_view name) {
  constexpr std::string_view kPrefix = "torch.";
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  for (const DTypeInfo& info : kDTypes)
    if (!info.torch_name.empty() && info.torch_name == name) return info.dtype;
  return std::nullopt;
}

// The type that holds both, for floating types: torch's lattice, with any fp8 beside another type promoted to fp32.
constexpr DType PromoteFloat(DType a, DType b) {
  if (a == b) return a;
  if (a == DType::kF64 || b == DType::kF64) return DType::kF64;
  return DType::kF32;
}

}  // namespace gpumerge
