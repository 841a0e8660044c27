// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads tensors of opened models only to hash them, in the order in which they lie in their files. Not thread-safe.
#pragma once

#include "src/io/model_files.h"

#include "gpumerge/options.h"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace gpumerge {

class TensorHashes {
 public:
  // bytes_to_read, tensors_total: of all calls of Hash together, for the progress.
  TensorHashes(uint64_t bytes_to_read, uint64_t tensors_total, std::function<bool(const Progress&)> on_progress);

  // XXH3-128 in hex of each of the tensors, as they are given. Throws Error(IN-CHANGED) when a file is not the one that
  // was opened, Error(IN-*), Error(CANCELLED).
  std::vector<std::string> Hash(const ModelFiles& model, const std::vector<const ModelTensor*>& tensors);

 private:
  std::string HashOne(int fd, const ModelTensor& tensor, const std::string& path);
  void Report();

  const std::function<bool(const Progress&)> on_progress_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point next_report_;
  Progress progress_;
  std::vector<std::byte> buffer_;
};

}  // namespace gpumerge
