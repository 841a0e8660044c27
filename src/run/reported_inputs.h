// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The inputs of a finished merge, found again: the report has their tensors' hashes, the recipe beside it says where
// they were.
#pragma once

#include "src/io/merge_report.h"
#include "src/io/model_files.h"
#include "src/run/tensor_hashes.h"

#include "gpumerge/error.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gpumerge {

class ReportedInputs {
 public:
  // output: of the merge. What cannot be found goes to errors. Throws Error for a recipe that cannot be read.
  ReportedInputs(const MergeReport& report, const ModelLocation& output, const ModelOptions& options,
                 std::vector<Diagnostic>* errors);

  uint64_t n_models() const { return models_.size(); }
  uint64_t n_tensors() const { return n_tensors_; }
  uint64_t bytes() const { return bytes_; }
  // Hashes all that was found. Every tensor that differs goes to errors.
  void Compare(TensorHashes* hashes, std::vector<Diagnostic>* errors) const;

 private:
  struct Found {
    std::string reference;
    ModelFiles files;
    std::map<std::string, std::string> hashes;  // tensor -> as the report states it
    std::vector<const ModelTensor*> tensors;    // those, in the map's order
  };
  void FindTensors(Found* model, std::vector<Diagnostic>* errors);

  std::vector<Found> models_;
  uint64_t n_tensors_ = 0, bytes_ = 0;
};

}  // namespace gpumerge
