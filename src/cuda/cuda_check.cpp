// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cuda/cuda_check.h"

#include "src/base/text.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace gpumerge {
namespace {

std::string StatusText(cudaError_t status) {
  return fmt::format("{}: {}", cudaGetErrorName(status), cudaGetErrorString(status));
}

}  // namespace

Diagnostic DescribeCudaError(cudaError_t status) {
  Diagnostic diagnostic{
      .code = ErrorCode::kDeviceFailed,
      .message = "the GPU reported an error; nothing was published",
      .found = StatusText(status),
      .help = "run it again; if it comes again, check the card (nvidia-smi, dmesg) or use --device cpu"};
  switch (status) {
    case cudaErrorMemoryAllocation:
      diagnostic.code = ErrorCode::kDeviceMemory;
      diagnostic.message = "the GPU or the pinned host memory is exhausted";
      diagnostic.help = "give less with --vram or --pinned, or free the GPU (nvidia-smi shows who uses it)";
      break;
    case cudaErrorDevicesUnavailable:
      diagnostic.code = ErrorCode::kDeviceBusy;
      diagnostic.message = "the GPU is busy: another process uses it exclusively, or computing is prohibited on it";
      diagnostic.help = "wait for that process, or change the mode with nvidia-smi --compute-mode";
      break;
    case cudaErrorNoDevice:
      diagnostic.code = ErrorCode::kDeviceUnavailable;
      diagnostic.message = "the NVIDIA driver finds no GPU";
      diagnostic.help = "check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu";
      break;
    case cudaErrorInsufficientDriver:
      diagnostic.code = ErrorCode::kDeviceDriver;
      diagnostic.message = "the NVIDIA driver is missing or older than this build needs";
      diagnostic.help = "install or update the driver, or use --device cpu";
      break;
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorInvalidPtx:
      diagnostic.code = ErrorCode::kDeviceUnavailable;
      diagnostic.message = "this build has no code for this GPU";
      diagnostic.help = "build gpumerge for the card (CMAKE_CUDA_ARCHITECTURES), or update the driver";
      break;
    default:
      break;
  }
  return diagnostic;
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
