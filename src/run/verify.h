// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Checks a model that is there already: its structure by the strict reader, config.json against the tensors, and, where
// a merge left its report, every tensor's hash; on request also the merge's inputs. Changes nothing. Thread-safe.
#pragma once

#include "src/io/model_files.h"

#include "gpumerge/error.h"
#include "gpumerge/options.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace gpumerge {

struct VerifyOptions {
  ModelOptions models;  // of the model, and of the merge's inputs
  bool inputs = false;  // hash what the merge read, too
  bool strict = false;  // warnings are errors
  std::function<bool(const Progress&)> on_progress;
};

struct VerifyResult {
  std::string directory;
  bool has_report = false;
  std::string version, method;  // of the merge, by its report
  uint64_t n_files = 0, n_tensors = 0, tensor_bytes = 0;
  uint64_t n_hashed = 0;      // tensors whose bytes have the hash that the report states
  uint64_t n_side_files = 0;  // config.json, tokenizer and so on, hashed likewise
  uint64_t n_input_models = 0, n_input_tensors = 0, input_bytes = 0;
  std::vector<Diagnostic> warnings;
};

// reference: as for `gpumerge inspect`. Throws Error with everything that is wrong: IN-*, IX-*, ST-* for files that are
// no model, OUT-VERIFY for one that is not what its report says, IN-HASH for inputs that are not, CFG-JSON, CANCELLED.
VerifyResult VerifyModel(const std::string& reference, const VerifyOptions& options);

}  // namespace gpumerge
