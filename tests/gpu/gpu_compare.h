// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What the CUDA backend made against what the reference executor makes: every byte, every finding. Where NaN came in,
// any NaN equals any: processors differ in its sign and payload, and a merge with one ends in an error. For tests.
#pragma once

#include "tests/gpu/gpu_jobs.h"
#include "tests/support/literal_jobs.h"

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

namespace gpumerge::testing {

inline std::string Text(const std::optional<NonFinite>& finding) {
  if (!finding) return "none";
  return std::to_string(finding->count) + " from " + std::to_string(finding->first_index) + ", largest " +
         std::to_string(finding->largest_finite);
}

// Every bit of both sums; NaN as in outputs.
inline std::string Text(const RoundingLoss& loss) {
  char text[100];
  std::snprintf(text, sizeof text, "error %a, change %a", std::fabs(loss.error_squares),
                std::fabs(loss.change_squares));
  return text;
}

inline std::string Text(const GpuRun& run) {
  const char* const modes[] = {"whole", "streamed", "kept"};
  return std::string(modes[static_cast<int>(run.mode)]) + " in " + std::to_string(run.chunk_elems) + " out " +
         std::to_string(run.out_chunk_elems);
}

inline bool HasNonFiniteInput(const TestJob& test, const JobState& state) {
  for (uint32_t i = 0; i < test.job.inputs.size(); ++i)
    if (state.InputNonFinite(i)) return true;
  return false;
}

// The first element that differs; the number of elements when none does.
inline uint64_t FirstDifference(const TestJob& test, const TestResult& expected, const TestResult& found) {
  const uint64_t elem_bytes = ElementBytes(test.job.out_dtype);
  if (expected.output == found.output) return test.job.n_elems;
  const bool any_nan = HasNonFiniteInput(test, *expected.state);
  const std::vector<float> a = Widened(test.job.out_dtype, expected.output);
  const std::vector<float> b = Widened(test.job.out_dtype, found.output);
  for (uint64_t i = 0; i < test.job.n_elems; ++i) {
    const bool same = std::memcmp(&expected.output[i * elem_bytes], &found.output[i * elem_bytes], elem_bytes) == 0;
    if (!same && !(any_nan && std::isnan(a[i]) && std::isnan(b[i]))) return i;
  }
  return test.job.n_elems;
}

inline void ExpectSame(const TestJob& test, const TestResult& expected, const TestResult& found,
                       const std::string& what = "") {
  ASSERT_EQ(expected.output.size(), found.output.size());
  ASSERT_EQ(FirstDifference(test, expected, found), test.job.n_elems) << Describe(test) << " " << what;
  for (uint32_t i = 0; i < test.job.inputs.size(); ++i)
    EXPECT_EQ(Text(expected.state->InputNonFinite(i)), Text(found.state->InputNonFinite(i)))
        << Describe(test) << " " << what << ", input " << i;
  EXPECT_EQ(Text(expected.state->OutputOverflow()), Text(found.state->OutputOverflow()))
      << Describe(test) << " " << what;
  EXPECT_EQ(expected.state->UsedLerp(), found.state->UsedLerp()) << Describe(test) << " " << what;
  EXPECT_EQ(Text(expected.state->Loss()), Text(found.state->Loss())) << Describe(test) << " " << what;
  EXPECT_EQ(expected.state->Problem() != nullptr, found.state->Problem() != nullptr) << Describe(test) << " " << what;
}

inline TestResult Expected(const TestJob& test) {
  static const std::unique_ptr<Backend> reference = MakeReferenceBackend();
  return RunTestJob(*reference, test, 0);
}

inline void ExpectReference(const TestJob& test, GpuBackend& gpu, const GpuRun& run = {}) {
  ExpectSame(test, Expected(test), gpu.Run(test, run), Text(run));
}

}  // namespace gpumerge::testing
