// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// SurveyGpus, MeasureLink, MakeCudaBackend: what is there, how fast its link is, and the backend of one GPU.
#include "src/cuda/cuda_backend.h"

#include "gpumerge/gpu.h"

#include <fmt/format.h>

#include <algorithm>

namespace gpumerge {
namespace {

// The oldest cards that the toolkits this is built with know.
constexpr int kSmallestMajor = 7, kSmallestMinor = 5;

std::string VersionText(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

// Leaves no context behind on a GPU that is only looked at: memory is asked for where one exists or can be made.
GpuInfo Look(int index) {
  GpuInfo gpu;
  gpu.index = static_cast<uint32_t>(index);
  const auto fail = [&](cudaError_t status) {
    cudaGetLastError();
    gpu.problem = DescribeCudaError(status);
    return gpu;
  };
  cudaDeviceProp properties{};
  if (const cudaError_t status = cudaGetDeviceProperties(&properties, index); status != cudaSuccess)
    return fail(status);
  gpu.name = properties.name;
  gpu.compute_capability = fmt::format("{}.{}", properties.major, properties.minor);
  gpu.memory_bytes = properties.totalGlobalMem;
  char bus[32] = {};
  if (cudaDeviceGetPCIBusId(bus, sizeof bus, index) == cudaSuccess) gpu.pci_bus = bus;
  if (std::pair(properties.major, properties.minor) < std::pair(kSmallestMajor, kSmallestMinor)) {
    gpu.problem = Diagnostic{.code = ErrorCode::kDeviceUnavailable,
                             .message = "the GPU is too old for this build",
                             .found = "compute capability " + gpu.compute_capability,
                             .expected = fmt::format("{}.{} or newer", kSmallestMajor, kSmallestMinor),
                             .help = "use --device cpu"};
    return gpu;
  }
  size_t free_bytes = 0, all_bytes = 0;
  cudaError_t status = cudaSetDevice(index);
  if (status == cudaSuccess) status = cudaMemGetInfo(&free_bytes, &all_bytes);
  if (status != cudaSuccess) return fail(status);
  gpu.free_bytes = free_bytes;
  return gpu;
}

double BytesPerSecond(void* to, const void* from, uint64_t bytes, cudaMemcpyKind kind, CUstream_st* stream) {
  constexpr int kCopies = 16;
  const Event begin = MakeEvent(), end = MakeEvent();
  GM_CUDA_TRY(cudaMemcpyAsync(to, from, bytes, kind, stream));  // the first is slower
  GM_CUDA_TRY(cudaEventRecord(begin.get(), stream));
  for (int i = 0; i < kCopies; ++i) GM_CUDA_TRY(cudaMemcpyAsync(to, from, bytes, kind, stream));
  GM_CUDA_TRY(cudaEventRecord(end.get(), stream));
  GM_CUDA_TRY(cudaEventSynchronize(end.get()));
  float milliseconds = 0;
  GM_CUDA_TRY(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
  return static_cast<double>(bytes) * kCopies / (std::max(milliseconds, 1e-3f) / 1000.0);
}

}  // namespace

GpuSurvey SurveyGpus() {
  GpuSurvey survey;
  survey.built_with_cuda = true;
  int version = 0;
  if (cudaRuntimeGetVersion(&version) == cudaSuccess) survey.runtime_version = VersionText(version);
  if (cudaDriverGetVersion(&version) == cudaSuccess && version > 0) survey.driver_version = VersionText(version);
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (status != cudaSuccess) {
    survey.problem = DescribeCudaError(status);
    if (status == cudaErrorInsufficientDriver && survey.driver_version.empty()) {
      survey.problem->message = "there is no NVIDIA driver on this machine";
      survey.problem->help = "install the NVIDIA driver, or use --device cpu";
    } else if (status == cudaErrorInsufficientDriver) {
      survey.problem->message = "the NVIDIA driver is too old for this build";
      survey.problem->found = "a driver for CUDA " + survey.driver_version;
      survey.problem->expected = "CUDA " + survey.runtime_version + " or newer";
      survey.problem->help = "update the NVIDIA driver, or use --device cpu";
    }
    return survey;
  }
  for (int index = 0; index < count; ++index) survey.gpus.push_back(Look(index));
  const bool any = std::any_of(survey.gpus.begin(), survey.gpus.end(), [](const GpuInfo& gpu) { return !gpu.problem; });
  if (any) return survey;
  survey.problem = survey.gpus.empty() ? DescribeCudaError(cudaErrorNoDevice) : *survey.gpus.front().problem;
  return survey;
}

LinkBandwidth MeasureLink(uint32_t gpu) {
  constexpr uint64_t kBytes = 64 << 20;
  GM_CUDA_TRY(cudaSetDevice(static_cast<int>(gpu)));
  const PinnedBuffer host = MakePinnedBuffer(kBytes);
  const DeviceBuffer device = MakeDeviceBuffer(kBytes);
  const Stream stream = MakeStream();
  return {BytesPerSecond(device.get(), host.get(), kBytes, cudaMemcpyHostToDevice, stream.get()),
          BytesPerSecond(host.get(), device.get(), kBytes, cudaMemcpyDeviceToHost, stream.get())};
}

std::unique_ptr<Backend> MakeCudaBackend(uint32_t gpu, uint64_t vram_bytes) {
  return std::make_unique<CudaBackend>(gpu, vram_bytes);
}

}  // namespace gpumerge
