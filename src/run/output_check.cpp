// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/output_check.h"

#include "src/base/text.h"
#include "src/io/model_files.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <filesystem>

namespace gpumerge {
namespace {

Error NotVerified(const std::string& message, const std::string& where) {
  return Error({.code = ErrorCode::kOutVerify,
                .message = message,
                .where = where,
                .help = "the disk or another program changed the output; nothing was published"});
}

}  // namespace

void CheckStagedOutput(const Plan& plan, const std::string& directory) {
  ModelLocation location;
  location.directory = location.containment_root = directory;
  ModelFiles written;
  try {
    written = OpenModel(location);
  } catch (const Error& error) {
    throw NotVerified(fmt::format("the written output cannot be read back: {}", error.what()), directory);
  }
  const uint64_t n_tensors = Totals(plan).n_tensors;
  if (written.tensors.size() != n_tensors)
    throw NotVerified(fmt::format("the written output has {} tensors instead of {}", written.tensors.size(), n_tensors),
                      directory);
  for (const PlanItem& item : plan.items) {
    if (item.stage) continue;
    const ModelTensor* tensor = written.Find(item.name);
    const std::string name = EscapeForTerminal(item.name);
    if (tensor == nullptr)
      throw NotVerified(fmt::format("tensor \"{}\" is not in the written output", name), directory);
    const std::string file = std::filesystem::path(written.files[tensor->file].path).filename();
    if (tensor->dtype != item.job.out_dtype || tensor->shape != item.job.shape ||
        file != plan.shards[item.shard].file_name || tensor->offset_bytes != item.offset_bytes)
      throw NotVerified(fmt::format("tensor \"{}\" is not where and what the plan says", name), file);
  }
}

}  // namespace gpumerge
