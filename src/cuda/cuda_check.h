// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Errors of the CUDA runtime as gpumerge::Error, with the call that failed.
#pragma once

#include "gpumerge/error.h"

#include <cstdint>
#include <cuda_runtime_api.h>

namespace gpumerge {

// Throws Error(DEV-FAILED), or DEV-MEMORY, DEV-BUSY, DEV-DRIVER where the status says so. Clears the runtime's record
// of the last error, so that it is not reported again by a later call.
[[noreturn]] void ThrowCudaError(cudaError_t status, const char* call, const char* file, int line);
// The same for an allocation: what was wanted, what is free.
[[noreturn]] void ThrowCudaAllocError(cudaError_t status, const char* call, uint64_t wanted_bytes);
// In destructors: nothing can be done, and at the end of a process the runtime may already be gone.
void IgnoreCudaError(cudaError_t status) noexcept;

// The diagnostic for a status, without a place.
Diagnostic DescribeCudaError(cudaError_t status);

#define GM_CUDA_TRY(call)                                                                           \
  do {                                                                                              \
    const cudaError_t gm_status = (call);                                                           \
    if (gm_status != cudaSuccess) ::gpumerge::ThrowCudaError(gm_status, #call, __FILE__, __LINE__); \
  } while (false)

}  // namespace gpumerge
