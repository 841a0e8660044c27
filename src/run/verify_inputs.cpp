// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A pass of its own, because a merge reads tensors in its own order and checksums are of whole files. That nothing
// changes afterwards is what the files' identities are for, which the merge checks.
#include "src/run/verify_inputs.h"

#include "src/base/file.h"
#include "src/base/file_identity.h"
#include "src/base/text.h"
#include "src/io/checksums.h"
#include "src/io/model_files.h"
#include "src/plan/plan_findings.h"
#include "src/run/device.h"
#include "src/run/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

namespace gpumerge {
namespace {

constexpr uint64_t kPieceBytes = uint64_t{1} << 20;
constexpr uint64_t kMaxManifestBytes = uint64_t{64} << 20;
constexpr auto kReportInterval = std::chrono::milliseconds(50);

struct Candidate {
  std::string path;
  KnownChecksum known;
  std::optional<FileIdentity> planned;  // of weights
  uint64_t size_bytes = 0;
};

// What is read besides weights.
std::vector<std::string> SideFiles(const Plan& plan) {
  std::set<std::string> paths;
  for (const PlanCopiedFile& file : plan.copied_files) paths.insert(file.source_path);
  paths.insert(plan.read_files.begin(), plan.read_files.end());
  return {paths.begin(), paths.end()};
}

class Verification {
 public:
  Verification(const Plan& plan, const std::string& manifest, const RunOptions& options) : options_(options) {
    std::optional<ChecksumManifest> listed;
    if (!manifest.empty()) listed.emplace(ReadSmallFile(manifest, kMaxManifestBytes), manifest);
    const auto find = [&](const std::string& path) {
      std::optional<KnownChecksum> known = listed ? listed->Find(path) : std::nullopt;
      return known ? known : HubChecksum(path);
    };
    for (const PlanFile& file : plan.files) {
      if (std::optional<KnownChecksum> known = find(file.path))
        candidates_.push_back({file.path, std::move(*known), file.identity});
      else
        unknown_weights_.push_back(file.path);
    }
    for (const std::string& path : SideFiles(plan)) {
      if (std::optional<KnownChecksum> known = find(path))
        candidates_.push_back({path, std::move(*known), std::nullopt});
      else
        result_.unknown.push_back(path);
    }
    CheckAllKnown();
    if (listed) result_.unread = listed->Unused();
    for (Candidate& file : candidates_) {
      file.size_bytes =
          file.planned ? file.planned->size_bytes : RegularFileSize(OpenRegular(file.path).get(), file.path);
      result_.size_bytes += file.size_bytes;
    }
    result_.n_files = candidates_.size();
  }

  VerifiedInputs Run() {
    std::vector<std::thread> threads;
    bool was_stopped = false;
    try {
      const size_t n_threads = std::min<size_t>(ReaderThreads(options_), candidates_.size());
      for (size_t i = 0; i < n_threads; ++i) {
        ++n_running_;
        threads.emplace_back([this] { Work(); });
      }
      was_stopped = !Watch();
    } catch (...) {  // a thread that cannot be started stops those that were
      stop_ = true;
      for (std::thread& thread : threads) thread.join();
      throw;
    }
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    if (was_stopped) throw Error({.code = ErrorCode::kCancelled, .message = "stopped while the inputs were verified"});
    if (!errors_.empty()) throw Error(std::move(errors_));
    return std::move(result_);
  }

 private:
  // Weights without a checksum are what the user wanted to know about.
  void CheckAllKnown() const {
    if (unknown_weights_.empty()) return;
    throw Error(
        {.code = ErrorCode::kInHash,
         .message = fmt::format("no checksum is known of {}: {}", Plural(unknown_weights_.size(), "weight file"),
                                ListSome(unknown_weights_)),
         .expected = "a file in the hub's cache, or one that the manifest lists",
         .help = "--manifest FILE names a list that `sha256sum` wrote; its names count from its own directory"});
  }

  void Work() {
    try {
      for (size_t i = next_++; i < candidates_.size() && !stop_; i = next_++) Check(candidates_[i]);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      stop_ = true;
    }
    --n_running_;
  }

  void Check(const Candidate& file) {
    const UniqueFd fd = OpenRegular(file.path);
    const FileIdentity before = IdentifyOpenFile(fd.get(), file.path);
    if (file.planned && before != *file.planned) throw FileChanged(file.path);
    Digest digest(file.known.kind, before.size_bytes);
    std::vector<std::byte> buffer(kPieceBytes);
    for (uint64_t done = 0; done < before.size_bytes; done += kPieceBytes) {
      if (stop_) return;
      const uint64_t piece = std::min(kPieceBytes, before.size_bytes - done);
      ReadFully(fd.get(), done, buffer.data(), piece, file.path);
      digest.Update(buffer.data(), piece);
      bytes_read_ += piece;
    }
    CheckOpenUnchanged(fd.get(), file.path, before);
    const std::string found = digest.Hex();
    if (found == file.known.hex) return;
    const std::lock_guard lock(mutex_);
    errors_.push_back({.code = ErrorCode::kInHash,
                       .message = "an input does not have the checksum that is known of it",
                       .where = file.path,
                       .found = found,
                       .expected = fmt::format("{} ({})", file.known.hex, file.known.from),
                       .help = "the file is damaged or another one: download it again"});
  }

  // False: the user wants to stop.
  bool Watch() {
    const auto start = std::chrono::steady_clock::now();
    Progress progress;
    progress.bytes_to_read = result_.size_bytes;
    progress.tensors_total = 0;
    while (n_running_ > 0) {
      std::this_thread::sleep_for(kReportInterval);
      if (!options_.on_progress) continue;
      progress.bytes_read = bytes_read_;
      progress.elapsed_seconds = progress.read_seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      progress.memory_bytes = ResidentBytes(true);
      if (options_.on_progress(progress)) continue;
      stop_ = true;
      return false;
    }
    return true;
  }

  const RunOptions& options_;
  std::vector<Candidate> candidates_;
  std::vector<std::string> unknown_weights_;
  VerifiedInputs result_;
  std::atomic<size_t> next_ = 0, n_running_ = 0;
  std::atomic<uint64_t> bytes_read_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;  // guards what follows
  std::vector<Diagnostic> errors_;
  std::exception_ptr failure_;
};

}  // namespace

VerifiedInputs VerifyInputs(const Plan& plan, const std::string& manifest, const RunOptions& options) {
  return Verification(plan, manifest, options).Run();
}

}  // namespace gpumerge
