// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What takes the place of the CUDA backend in builds without CUDA: the same functions, which say so. No other file of
// this folder is compiled then.
#include "gpumerge/backend.h"
#include "gpumerge/gpu.h"

namespace gpumerge {
namespace {

Diagnostic NotBuilt() {
  return {.code = ErrorCode::kDeviceNotBuilt,
          .message = "this gpumerge was built without CUDA, so it cannot use a GPU",
          .help =
              "use --device cpu, or build it again where the CUDA toolkit 12.4 or later is installed "
              "(cmake -DGPUMERGE_CUDA=ON says what is missing)"};
}

}  // namespace

GpuSurvey SurveyGpus() { return {.problem = NotBuilt()}; }

LinkBandwidth MeasureLink(uint32_t) { throw Error(NotBuilt()); }

std::unique_ptr<Backend> MakeCudaBackend(uint32_t, uint64_t) { throw Error(NotBuilt()); }

}  // namespace gpumerge
