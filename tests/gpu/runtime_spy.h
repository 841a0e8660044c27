// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Stands between this test program and the emulated CUDA runtime: counts what is called, copied and held, and makes a
// call fail. Not there where the program has the real runtime linked in. Not thread-safe. For tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cuda_runtime_api.h>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace gpumerge::testing {

struct RuntimeSpy {
  struct Copy {
    const std::byte* from;
    std::byte* to;
    uint64_t bytes;
    cudaMemcpyKind kind;
  };
  // Since the last Reset.
  std::map<std::string, uint64_t> calls{};
  uint64_t n_calls = 0;
  std::vector<Copy> copies{};

  // The fail_at-th call from the last Reset on fails with this status; 0: none. lasting: so do all after it, as after a
  // fault. fail_function: only calls of that function are counted for it. A call that frees something frees it even so.
  uint64_t fail_at = 0;
  std::string fail_function{};
  cudaError_t fail_with = cudaErrorUnknown;
  bool lasting = false;

  // Copies to the device run at once, whatever is still to be done in other streams. Where the emulator runs work only
  // when it is waited for, they then overtake kernels that were launched earlier, as they may on hardware.
  bool copies_run_ahead = false;

  // Of all time: what was handed out and not given back (device and pinned memory, streams, events).
  std::set<const void*> held{};

  // What the wrappers share.
  uint64_t n_considered = 0;
  std::optional<cudaError_t> last_error{};  // of an injected failure

  void Reset() {
    calls.clear();
    copies.clear();
    n_calls = n_considered = fail_at = 0;
    fail_function.clear();
    fail_with = cudaErrorUnknown;
    lasting = copies_run_ahead = false;
    last_error.reset();
  }
  uint64_t CallsOf(const std::string& function) const {
    const auto found = calls.find(function);
    return found == calls.end() ? 0 : found->second;
  }
  uint64_t Launches() const { return CallsOf("cudaLaunchKernel") + CallsOf("__cudaLaunchKernel"); }
  uint64_t Allocations() const {
    uint64_t n = 0;
    for (const char* function : {"cudaMalloc", "cudaHostAlloc", "cudaEventCreate", "cudaStreamCreateWithFlags"})
      n += CallsOf(function);
    return n;
  }
};

// The only one.
RuntimeSpy& Spy();

}  // namespace gpumerge::testing
