// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/output_check.h"

#include "src/base/file.h"
#include "src/base/file_hash.h"
#include "src/base/system_calls.h"
#include "src/base/text.h"
#include "src/io/model_files.h"
#include "src/run/staged_hashes.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <fcntl.h>
#include <filesystem>

namespace gpumerge {
namespace {

Error NotVerified(const std::string& message, const std::string& where) {
  return Error({.code = ErrorCode::kOutVerify,
                .message = message,
                .where = where,
                .help = "the disk or another program changed the output; nothing was published"});
}

// What cannot be read is "", which no hash is.
std::string HashStagedFile(const std::string& path) {
  try {
    const UniqueFd fd = OpenRegular(path);
    Sys().Fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    return HashFile(fd.get(), path);
  } catch (const Error&) {
    return {};
  }
}

std::string TensorText(const PlanItem& item) { return fmt::format("tensor \"{}\"", EscapeForTerminal(item.name)); }

void CheckStructure(const StagedFiles& files) {
  const Plan& plan = files.plan;
  ModelLocation location;
  location.directory = location.containment_root = files.directory;
  location.is_staging = true;
  ModelFiles written;
  try {
    written = OpenModel(location);
  } catch (const Error& error) {
    throw NotVerified(fmt::format("the written output cannot be read back: {}", error.what()), files.directory);
  }
  const uint64_t n_tensors = Totals(plan).n_tensors;
  if (written.tensors.size() != n_tensors)
    throw NotVerified(fmt::format("the written output has {} tensors instead of {}", written.tensors.size(), n_tensors),
                      files.directory);
  for (const PlanItem& item : plan.items) {
    if (item.stage) continue;
    const ModelTensor* tensor = written.Find(item.name);
    if (tensor == nullptr) throw NotVerified(TensorText(item) + " is not in the written output", files.directory);
    const std::string file = std::filesystem::path(written.files[tensor->file].path).filename();
    if (tensor->dtype != item.job.out_dtype || tensor->shape != item.job.shape ||
        file != plan.shards[item.shard].file_name || tensor->offset_bytes != item.offset_bytes)
      throw NotVerified(TensorText(item) + " is not where and what the plan says", files.directory + "/" + file);
  }
}

// What cannot be read is "", which no file of a plan's is.
std::string ReadStaged(const std::string& path, uint64_t size_bytes) {
  try {
    const UniqueFd fd = OpenRegular(path);
    // From the disk, as far as it can be had from there. No more: it makes the kernel write what is not yet written.
    Sys().Fadvise(fd.get(), 0, static_cast<off_t>(size_bytes), POSIX_FADV_DONTNEED);
    if (RegularFileSize(fd.get(), path) < size_bytes) return {};
    std::string contents(static_cast<size_t>(size_bytes), '\0');
    ReadFully(fd.get(), 0, contents.data(), contents.size(), path);
    return contents;
  } catch (const Error&) {
    return {};
  }
}

void CheckHeaders(const StagedFiles& files) {
  for (const PlanShard& shard : files.plan.shards)
    if (ReadStaged(files.directory + "/" + shard.file_name, shard.header.size()) != shard.header)
      throw NotVerified("a file's header is not what was written", files.directory + "/" + shard.file_name);
}

void CheckSideFiles(const StagedFiles& files) {
  for (const PlanTextFile& file : files.text_files)
    if (ReadStaged(files.directory + "/" + file.file_name, file.contents.size()) != file.contents)
      throw NotVerified("a file is not what was written", files.directory + "/" + file.file_name);
  for (size_t i = 0; i < files.copied_hashes.size(); ++i) {
    const std::string& name = files.plan.copied_files[i].file_name;
    if (HashStagedFile(files.directory + "/" + name) != files.copied_hashes[i])
      throw NotVerified("a file is not what was copied", files.directory + "/" + name);
  }
}

void CheckTensors(const StagedFiles& files, uint32_t n_threads,
                  const std::function<void(uint64_t bytes, uint64_t bytes_to_read)>& report) {
  std::vector<uint64_t> items;
  for (uint64_t i = 0; i < files.plan.items.size(); ++i)
    if (!files.plan.items[i].stage) items.push_back(i);
  const uint64_t bytes_to_read = Totals(files.plan).output_bytes;
  const std::vector<std::string> hashes =
      HashStaged(files.plan, files.directory, items, n_threads, [&](uint64_t bytes) { report(bytes, bytes_to_read); });
  for (size_t i = 0; i < items.size(); ++i) {
    if (hashes[i] == files.results[items[i]].output_hash) continue;
    const PlanItem& item = files.plan.items[items[i]];
    throw NotVerified(TensorText(item) + " is not what was computed",
                      files.directory + "/" + files.plan.shards[item.shard].file_name);
  }
}

}  // namespace

void CheckStagedOutput(const StagedFiles& files, Verify verify, uint32_t n_threads,
                       const std::function<void(uint64_t bytes, uint64_t bytes_to_read)>& report) {
  CheckStructure(files);
  CheckHeaders(files);
  if (verify == Verify::kHeader) return;
  CheckTensors(files, n_threads, report);
  CheckSideFiles(files);
}

}  // namespace gpumerge
