// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/cpu/isa.h"

#include "gpumerge/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace gpumerge {
namespace {

#if defined(__x86_64__)
// F16C, MOVBE and LZCNT, whose names clang 14 does not know in __builtin_cpu_supports.
bool HasRestOfV3() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kF16c = 1u << 29, kMovbe = 1u << 22, kLzcnt = 1u << 5;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kF16c) == 0 || (ecx & kMovbe) == 0) return false;
  return __get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx) != 0 && (ecx & kLzcnt) != 0;
}
#endif

bool CpuRuns(std::string_view isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma") && HasRestOfV3();
  if (isa == "x86-64-v2") return v2;
  if (isa == "x86-64-v3") return v3;
  if (isa == "x86-64-v4")
    return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#endif
  return isa == "baseline";
}

}  // namespace

std::vector<const CpuIsaMethods*> UsableIsas() {
  std::vector<const CpuIsaMethods*> usable;
  for (const CpuIsaMethods& isa : CpuMethodFiles())
    if (CpuRuns(isa.isa)) usable.push_back(&isa);
  if (usable.empty())
    throw Error({.code = ErrorCode::kDeviceUnavailable,
                 .message = "this processor is older than gpumerge's CPU code needs",
                 .expected = "at least x86-64-v2 (SSE4.2)",
                 .help = "use --device reference"});
  return usable;
}

const CpuIsaMethods& ChooseIsa(const std::string& name) {
  const std::vector<const CpuIsaMethods*> usable = UsableIsas();
  if (name.empty()) return *usable.back();
  std::string names;
  for (const CpuIsaMethods* isa : usable) {
    if (isa->isa == name) return *isa;
    names += (names.empty() ? "" : ", ") + std::string(isa->isa);
  }
  throw Error({.code = ErrorCode::kDeviceUnavailable,
               .message = "the instruction set " + name + " cannot be used on this processor",
               .expected = names,
               .help = "leave --isa out to take the best one"});
}

}  // namespace gpumerge
