// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// gpumerge_report.json read back: which tensors a merge wrote, with the hashes of what went in and came out. No I/O.
// The text is not trusted. Thread-safe.
#pragma once

#include "gpumerge/dtype.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

struct ReportModel {
  std::string name;
  bool is_stage = false;  // another document's result: there are no files of it
};

struct ReportInput {
  uint64_t model = 0;  // index in MergeReport::models
  std::string tensor;
  std::string hash;  // XXH3-128, 32 hex digits
};

struct ReportTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<uint64_t> shape;
  std::string hash;
  std::vector<ReportInput> inputs;
};

// A report that is larger is none.
inline constexpr uint64_t kMaxMergeReportBytes = uint64_t{256} << 20;

// A file beside the weights, or the header of a file of them.
struct ReportFile {
  std::string name, hash;  // no hash: it may be edited
  bool is_header = false;
};

struct MergeReport {
  std::string version, method;
  std::vector<ReportModel> models;
  std::vector<ReportFile> files;            // plain names
  std::vector<ReportTensor> tensors;        // of the output
  std::vector<ReportTensor> stage_tensors;  // of its stages
};

// file is for messages. Throws Error(JSON-SYNTAX, JSON-DUP, ST-LIMIT).
MergeReport ParseMergeReport(std::string_view json, const std::string& file);

}  // namespace gpumerge
