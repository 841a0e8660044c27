// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// gpumerge_report.json, as `gpumerge verify` reads it years later from anywhere.
#include "src/io/merge_report.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gpumerge;        // NOLINT
  using namespace gpumerge::test;  // NOLINT
  MergeReport report;
  if (!Accepts([&] { report = ParseMergeReport(AsText(data, size), "gpumerge_report.json"); })) return 0;
  for (const auto* tensors : {&report.tensors, &report.stage_tensors})
    for (const ReportTensor& tensor : *tensors)
      for (const ReportInput& input : tensor.inputs)
        Promise(input.model < report.models.size(), "an input is of a model that is listed");
  return 0;
}
