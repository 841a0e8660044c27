// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Owners of what the CUDA runtime hands out: streams, events, device and pinned memory. Move-only; they belong to the
// device that was current when they were made. Destructors never throw.
#pragma once

#include "src/cuda/cuda_check.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace gpumerge {

struct StreamDelete {
  void operator()(CUstream_st* stream) const { IgnoreCudaError(cudaStreamDestroy(stream)); }
};
using Stream = std::unique_ptr<CUstream_st, StreamDelete>;
inline Stream MakeStream() {
  cudaStream_t stream = nullptr;
  GM_CUDA_TRY(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return Stream(stream);
}

struct EventDelete {
  void operator()(CUevent_st* event) const { IgnoreCudaError(cudaEventDestroy(event)); }
};
using Event = std::unique_ptr<CUevent_st, EventDelete>;
// Waiting for it leaves the processor to the threads that read and write.
inline Event MakeEvent() {
  cudaEvent_t event = nullptr;
  GM_CUDA_TRY(cudaEventCreateWithFlags(&event, cudaEventBlockingSync));
  return Event(event);
}

struct DeviceFree {
  void operator()(std::byte* memory) const { IgnoreCudaError(cudaFree(memory)); }
};
using DeviceBuffer = std::unique_ptr<std::byte, DeviceFree>;
// Throws Error(DEV-MEMORY) with what is free.
inline DeviceBuffer MakeDeviceBuffer(uint64_t bytes) {
  void* memory = nullptr;
  if (const cudaError_t status = cudaMalloc(&memory, bytes); status != cudaSuccess)
    ThrowCudaAllocError(status, "cudaMalloc", bytes);
  return DeviceBuffer(static_cast<std::byte*>(memory));
}

struct PinnedFree {
  void operator()(std::byte* memory) const { IgnoreCudaError(cudaFreeHost(memory)); }
};
using PinnedBuffer = std::unique_ptr<std::byte, PinnedFree>;
// Usable by every GPU.
inline PinnedBuffer MakePinnedBuffer(uint64_t bytes) {
  void* memory = nullptr;
  if (const cudaError_t status = cudaHostAlloc(&memory, bytes, cudaHostAllocPortable); status != cudaSuccess)
    ThrowCudaAllocError(status, "cudaHostAlloc", bytes);
  return PinnedBuffer(static_cast<std::byte*>(memory));
}

}  // namespace gpumerge
