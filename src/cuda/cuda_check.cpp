// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cuda/cuda_check.h"

#include "src/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace gpumerge {
namespace {

// What users can do something about.
struct KnownError {
  cudaError_t statuses[3];  // the rest is cudaSuccess, which nobody asks about
  ErrorCode code;
  std::string_view message, help;
};
const KnownError kKnownErrors[] = {
    {{cudaErrorMemoryAllocation},
     ErrorCode::kDeviceMemory,
     "the GPU or the pinned host memory is exhausted",
     "give less with --vram or --pinned, or free the GPU (nvidia-smi shows who uses it)"},
    {{cudaErrorDevicesUnavailable},
     ErrorCode::kDeviceBusy,
     "the GPU is busy: another process uses it exclusively, or computing is prohibited on it",
     "wait for that process, or change the mode with nvidia-smi --compute-mode"},
    {{cudaErrorNoDevice},
     ErrorCode::kDeviceUnavailable,
     "the NVIDIA driver finds no GPU",
     "check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu"},
    {{cudaErrorInsufficientDriver},
     ErrorCode::kDeviceDriver,
     "the NVIDIA driver is missing or older than this build needs",
     "install or update the driver, or use --device cpu"},
    {{cudaErrorNoKernelImageForDevice, cudaErrorUnsupportedPtxVersion, cudaErrorInvalidPtx},
     ErrorCode::kDeviceUnavailable,
     "this build has no code for this GPU",
     "build gpumerge for the card (CMAKE_CUDA_ARCHITECTURES), or update the driver"},
};
const KnownError kOtherError{{},
                             ErrorCode::kDeviceFailed,
                             "the GPU reported an error",
                             "run it again; if it comes again, check the card (nvidia-smi, dmesg) or use --device cpu"};

std::string StatusText(cudaError_t status) {
  return fmt::format("{}: {}", cudaGetErrorName(status), cudaGetErrorString(status));
}

}  // namespace

Diagnostic DescribeCudaError(cudaError_t status) {
  const auto is_it = [status](const KnownError& known) {
    return std::find(std::begin(known.statuses), std::end(known.statuses), status) != std::end(known.statuses);
  };
  const auto known = std::find_if(std::begin(kKnownErrors), std::end(kKnownErrors), is_it);
  const KnownError& error = known == std::end(kKnownErrors) ? kOtherError : *known;
  return {.code = error.code,
          .message = std::string(error.message),
          .where = "",
          .found = StatusText(status),
          .expected = "",
          .help = std::string(error.help)};
}

void ThrowCudaError(cudaError_t status, const char* call, const char* file, int line) {
  cudaGetLastError();
  Diagnostic diagnostic = DescribeCudaError(status);
  std::string_view path = file;
  if (const size_t root = path.rfind("src/"); root != std::string_view::npos) path.remove_prefix(root);
  diagnostic.where = fmt::format("{}, {}:{}", call, path, line);
  throw Error(std::move(diagnostic));
}

void ThrowCudaAllocError(cudaError_t status, const char* call, uint64_t wanted_bytes) {
  cudaGetLastError();
  Diagnostic diagnostic = DescribeCudaError(status);
  size_t free_bytes = 0, all_bytes = 0;
  const bool known = cudaMemGetInfo(&free_bytes, &all_bytes) == cudaSuccess;
  cudaGetLastError();
  diagnostic.where = call;
  if (diagnostic.code == ErrorCode::kDeviceMemory) {
    diagnostic.found =
        known ? fmt::format("{} of {} free", FormatBytes(free_bytes), FormatBytes(all_bytes)) : StatusText(status);
    diagnostic.expected = FormatBytes(wanted_bytes);
  }
  throw Error(std::move(diagnostic));
}

void IgnoreCudaError(cudaError_t) noexcept { cudaGetLastError(); }

}  // namespace gpumerge
