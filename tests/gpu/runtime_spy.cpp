// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/gpu/runtime_spy.h"

#include <dlfcn.h>
#include <string_view>

namespace gpumerge::testing {

RuntimeSpy& Spy() {
  static RuntimeSpy spy;
  return spy;
}

}  // namespace gpumerge::testing

#if GPUMERGE_ON_EMULATOR

namespace {

using gpumerge::testing::RuntimeSpy;
using gpumerge::testing::Spy;

template <class Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

// The status that this call is to fail with, if it is.
std::optional<cudaError_t> Enter(const char* name) {
  RuntimeSpy& spy = Spy();
  ++spy.calls[name];
  ++spy.n_calls;
  if (spy.fail_at == 0 || (!spy.fail_function.empty() && spy.fail_function != name)) return std::nullopt;
  ++spy.n_considered;
  if (spy.lasting ? spy.n_considered < spy.fail_at : spy.n_considered != spy.fail_at) return std::nullopt;
  spy.last_error = spy.fail_with;
  return spy.fail_with;
}

template <class Function, class... Arguments>
cudaError_t Spied(const char* name, Function real, Arguments... arguments) {
  if (const std::optional<cudaError_t> failure = Enter(name)) return *failure;
  return real(arguments...);
}

// Does its work even when it is to fail, so that what fails on purpose leaves nothing behind.
template <class Function, class... Arguments>
cudaError_t SpiedAnyway(const char* name, Function real, Arguments... arguments) {
  const std::optional<cudaError_t> failure = Enter(name);
  const cudaError_t status = real(arguments...);
  return failure ? *failure : status;
}

template <class Pointer>
cudaError_t Held(cudaError_t status, Pointer* pointer) {
  if (status == cudaSuccess) Spy().held.insert(*pointer);
  return status;
}

}  // namespace

#define GM_REAL(name) Real<decltype(&name)>(#name)
#define GM_SPY(name, parameters, ...) \
  cudaError_t name parameters { return Spied(#name, GM_REAL(name), __VA_ARGS__); }
#define GM_SPY_TAKES(name, parameters, pointer, ...) \
  cudaError_t name parameters { return Held(Spied(#name, GM_REAL(name), pointer __VA_OPT__(, ) __VA_ARGS__), pointer); }
#define GM_SPY_GIVES(name, parameters, pointer)        \
  cudaError_t name parameters {                        \
    Spy().held.erase(pointer);                         \
    return SpiedAnyway(#name, GM_REAL(name), pointer); \
  }

extern "C" {

// What nvcc's stubs call: this one, or the one of the public interface, as the toolkit is newer or older.
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t);  // NOLINT

GM_SPY(__cudaLaunchKernel,  // NOLINT
       (cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t stream), kernel, grid,
       block, arguments, shared, stream)
GM_SPY(cudaLaunchKernel,
       (const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t stream), kernel, grid,
       block, arguments, shared, stream)
GM_SPY(cudaSetDevice, (int device), device)
GM_SPY(cudaGetDeviceCount, (int* count), count)
GM_SPY(cudaDriverGetVersion, (int* version), version)
GM_SPY(cudaMemGetInfo, (size_t * free_bytes, size_t* all_bytes), free_bytes, all_bytes)
GM_SPY(cudaMemsetAsync, (void* memory, int value, size_t bytes, cudaStream_t stream), memory, value, bytes, stream)
GM_SPY(cudaEventRecord, (cudaEvent_t event, cudaStream_t stream), event, stream)
GM_SPY(cudaEventSynchronize, (cudaEvent_t event), event)
GM_SPY(cudaEventElapsedTime, (float* milliseconds, cudaEvent_t begin, cudaEvent_t end), milliseconds, begin, end)
GM_SPY(cudaStreamWaitEvent, (cudaStream_t stream, cudaEvent_t event, unsigned flags), stream, event, flags)

GM_SPY_TAKES(cudaMalloc, (void** memory, size_t bytes), memory, bytes)
GM_SPY_TAKES(cudaHostAlloc, (void** memory, size_t bytes, unsigned flags), memory, bytes, flags)
GM_SPY_TAKES(cudaEventCreate, (cudaEvent_t * event), event)
GM_SPY_TAKES(cudaStreamCreateWithFlags, (cudaStream_t * stream, unsigned flags), stream, flags)
GM_SPY_GIVES(cudaFree, (void* memory), memory)
GM_SPY_GIVES(cudaFreeHost, (void* memory), memory)
GM_SPY_GIVES(cudaEventDestroy, (cudaEvent_t event), event)
GM_SPY_GIVES(cudaStreamDestroy, (cudaStream_t stream), stream)

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return SpiedAnyway("cudaStreamSynchronize", GM_REAL(cudaStreamSynchronize), stream);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return Spied("cudaGetDeviceProperties", GM_REAL(cudaGetDeviceProperties), properties, device);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  Spy().copies.push_back({static_cast<const std::byte*>(from), static_cast<std::byte*>(to), bytes, kind});
  const cudaError_t status = Spied("cudaMemcpyAsync", GM_REAL(cudaMemcpyAsync), to, from, bytes, kind, stream);
  if (status == cudaSuccess && kind == cudaMemcpyHostToDevice && Spy().copies_run_ahead)
    return GM_REAL(cudaStreamSynchronize)(stream);
  return status;
}

cudaError_t cudaGetLastError() {
  const std::optional<cudaError_t> injected = Spy().last_error;
  if (!Spy().lasting) Spy().last_error.reset();
  const cudaError_t status = GM_REAL(cudaGetLastError)();
  return injected ? *injected : status;
}

}  // extern "C"

#endif
