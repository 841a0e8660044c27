// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A line enters the journal when its tensor is durable, and leaves it (in a new journal) before its bytes may change.
// So whatever is lost, what the journal says is true; bytes are hashed all the same before they are used.
#include "src/run/merge_output.h"

#include "src/base/trace_range.h"
#include "src/io/output_target.h"
#include "src/run/device.h"
#include "src/run/finished.h"
#include "src/run/input_files.h"
#include "src/run/output_check.h"
#include "src/run/plan_identity.h"
#include "src/run/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <utility>

namespace gpumerge {
namespace {

using Clock = std::chrono::steady_clock;

// A flush is due after so many bytes or seconds, or so much text. On a slow disk after fewer bytes: a stop has to wait
// for the last flush, which should take about a second.
constexpr uint64_t kMostBatchBytes = uint64_t{256} << 20, kLeastBatchBytes = uint64_t{16} << 20;
constexpr uint64_t kFirstBatchBytes = uint64_t{64} << 20;
constexpr size_t kMostPendingText = size_t{1} << 20;
constexpr auto kFlushInterval = std::chrono::seconds(5);

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Of a data or recipe error the next run would die as well, but files that cannot be read now may be back then, and are
// known again by their size and time. What a device that computes wrongly has finished is not used either.
bool MayGoOnAfter(ErrorCode code) {
  const int status = Info(code).exit_status;
  const bool is_unread = code == ErrorCode::kInIo || code == ErrorCode::kInMissing || code == ErrorCode::kInTruncated;
  return (status == 1 || status == 8 || status == 10 || status >= 128 || is_unread) && code != ErrorCode::kSelfcheck;
}

}  // namespace

MergeOutput::MergeOutput(const Plan& plan, const RunOptions& options)
    : plan_(plan),
      options_(options),
      header_(IdentifyPlan(plan)),
      out_(plan.output_dir, options.overwrite, options.sync,
           options.resume == Resume::kNever   ? Leftover::kDiscard
           : options.resume == Resume::kTrust ? Leftover::kTakeOver
                                              : Leftover::kKeep,
           JournalLine(header_)),
      done_(plan.items.size()),
      results_(plan.items.size()),
      batch_bytes_(options.max_batch_bytes == 0 ? kFirstBatchBytes : options.max_batch_bytes),
      begun_at_(Clock::now()),
      flushed_at_(begun_at_) {}

void MergeOutput::Begin() {
  AllowManyFiles();
  for (const PlanShard& shard : plan_.shards) shard_is_there_.push_back(out_.has_journal() && HasShard(shard));
  if (out_.has_journal()) GoOn();
  // From here on the journal says nothing of what is thrown away or written again.
  out_.WriteJournal(JournalText(), BytesToRecord());
  recorded_ = done_;
  has_begun_ = true;
  out_.KeepStaging(false);
  std::vector<std::string> kept;
  for (size_t s = 0; s < plan_.shards.size(); ++s)
    if (shard_is_there_[s]) kept.push_back(plan_.shards[s].file_name);
  out_.RemoveAllBut(kept);
  CreateShards();
  flushed_at_ = Clock::now();
}

bool MergeOutput::HasShard(const PlanShard& shard) const {
  return SizeOfFile(out_.staging_path() + "/" + shard.file_name) == shard.size_bytes;
}

void MergeOutput::GoOn() {
  const TraceRange trace("resume");
  FinishedItems finished = FindFinished(
      plan_, header_, {out_.staging_path(), shard_is_there_, out_.ReadJournal()}, options_.resume,
      ReaderThreads(options_),
      [&](uint64_t bytes, uint64_t bytes_to_check) { Report({}, Progress::Phase::kResuming, bytes, bytes_to_check); });
  done_ = std::move(finished.done);
  results_ = std::move(finished.results);
  n_damaged_ = finished.n_damaged;
}

std::optional<Diagnostic> MergeOutput::Warning() const {
  if (n_damaged_ == 0) return out_.warning();
  return Diagnostic{.code = ErrorCode::kOutVerify,
                    .message = fmt::format("{} of the interrupted run had changed on the disk and {} made again",
                                           n_damaged_ == 1 ? "1 tensor" : fmt::format("{} tensors", n_damaged_),
                                           n_damaged_ == 1 ? "was" : "were"),
                    .where = out_.staging_path(),
                    .help = "the output is right; the disk may not be: the kernel's log may say more"};
}

void MergeOutput::CreateShards() {
  std::vector<uint64_t> to_write;
  for (const PlanShard& shard : plan_.shards) to_write.push_back(shard.header.size());
  for (uint64_t i = 0; i < plan_.items.size(); ++i)
    if (!done_[i] && !plan_.items[i].stage) to_write[plan_.items[i].shard] += plan_.items[i].size_bytes;
  for (size_t s = 0; s < plan_.shards.size(); ++s) {
    const PlanShard& shard = plan_.shards[s];
    shards_.push_back(shard_is_there_[s] ? out_.ReopenSized(shard.file_name, shard.size_bytes, to_write[s])
                                         : out_.CreateSized(shard.file_name, shard.size_bytes));
    out_.WriteAt(shards_.back(), 0, shard.header.data(), shard.header.size());
    out_.CloseSized(shards_.back());
  }
  out_.SyncStaging();
}

std::string MergeOutput::JournalText() const {
  std::string text = JournalLine(header_);
  for (uint64_t i = 0; i < plan_.items.size(); ++i)
    if (done_[i]) text += RecordLine(plan_, i, results_[i]);
  return text;
}

// Of the records to come: their names and hashes, and room for the rest.
uint64_t MergeOutput::BytesToRecord() const {
  constexpr uint64_t kRecordBytes = 512, kHashBytes = 40;
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < plan_.items.size(); ++i)
    if (!done_[i]) bytes += kRecordBytes + plan_.items[i].name.size() + plan_.items[i].inputs.size() * kHashBytes;
  return bytes;
}

uint64_t MergeOutput::CountRecorded() const {
  std::vector<bool> is_there;
  for (const PlanShard& shard : plan_.shards) {
    try {
      is_there.push_back(HasShard(shard));
    } catch (const Error&) {  // the next run may be able to look at it
      is_there.push_back(true);
    }
  }
  uint64_t n = 0;
  for (uint64_t i = 0; i < recorded_.size(); ++i)
    n += recorded_[i] && !plan_.items[i].stage && is_there[plan_.items[i].shard] ? 1u : 0u;
  return n;
}

void MergeOutput::Write(uint32_t shard, uint64_t offset_bytes, const std::byte* data, uint64_t size_bytes) {
  {
    const std::shared_lock lock(writing_);
    out_.WriteAt(shards_[shard], offset_bytes, data, size_bytes);
    dirty_bytes_ += size_bytes;
    if (!IsDue()) return;
  }
  const std::unique_lock lock(writing_);
  if (IsDue()) Flush();  // nobody else has done it
}

void MergeOutput::ItemDone(uint64_t item, const ItemResult& result) {
  const std::unique_lock lock(writing_);
  results_[item] = result;
  pending_ += RecordLine(plan_, item, result);
  pending_items_.push_back(item);
  if (IsDue()) Flush();
}

bool MergeOutput::IsDue() const {
  return dirty_bytes_ >= batch_bytes_ || pending_.size() >= kMostPendingText ||
         (!pending_.empty() && Clock::now() - flushed_at_ >= kFlushInterval);
}

void MergeOutput::Flush() {
  const TraceRange trace("sync", {.bytes = dirty_bytes_});
  const Clock::time_point start = Clock::now();
  std::exception_ptr failed;
  try {
    out_.SyncSized();
  } catch (...) {  // the files that are not lost are durable
    failed = std::current_exception();
  }
  DropLost();
  is_broken_ = true;  // until it has worked: after half a line nothing can be appended
  if (!pending_.empty()) out_.AppendJournal(pending_);
  is_broken_ = false;
  for (const uint64_t item : pending_items_) recorded_[item] = true;
  pending_items_.clear();
  pending_.clear();
  flushed_at_ = Clock::now();
  const double seconds = Since(start);
  sync_seconds_ += seconds;
  const double bytes_a_second = static_cast<double>(dirty_bytes_.load()) / std::max(seconds, 1e-3);
  if (dirty_bytes_ >= kLeastBatchBytes)
    batch_bytes_ = static_cast<uint64_t>(
        std::clamp(bytes_a_second, static_cast<double>(kLeastBatchBytes), static_cast<double>(kMostBatchBytes)));
  dirty_bytes_ = 0;
  if (failed) std::rethrow_exception(failed);
}

void MergeOutput::DropLost() {
  const size_t n_lost = std::erase_if(pending_items_, [&](uint64_t item) {
    return !plan_.items[item].stage && out_.IsLost(shards_[plan_.items[item].shard]);
  });
  if (n_lost == 0) return;
  pending_.clear();
  for (const uint64_t item : pending_items_) pending_ += RecordLine(plan_, item, results_[item]);
}

void MergeOutput::Report(Progress progress, Progress::Phase phase, uint64_t bytes, uint64_t bytes_to_check) const {
  progress.phase = phase;
  progress.elapsed_seconds = Since(begun_at_);
  progress.bytes_checked = bytes;
  progress.bytes_to_check = bytes_to_check;
  if (options_.on_progress && !options_.on_progress(progress))
    throw Error({.code = ErrorCode::kCancelled, .message = "stopped before the merge was complete"});
}

void MergeOutput::Finish(const Progress& totals) {
  Flush();
  Report(totals, Progress::Phase::kVerifying, 0, 0);
  StagedFiles files{.plan = plan_, .directory = out_.staging_path(), .results = results_};
  for (const PlanCopiedFile& file : plan_.copied_files)
    files.copied_hashes.push_back(out_.CopyFile(file.file_name, file.source_path, file.identity));
  files.text_files = plan_.text_files;
  files.text_files.push_back({kReportFile, MakeReport(plan_, results_, files.copied_hashes)});
  std::stable_partition(files.text_files.begin(), files.text_files.end(),
                        [](const PlanTextFile& file) { return file.file_name != kLastFile; });
  for (const PlanTextFile& file : files.text_files) out_.WriteFile(file.file_name, file.contents);
  const Clock::time_point start = Clock::now();
  {
    const TraceRange trace("verify");
    CheckStagedOutput(files, options_.verify, ReaderThreads(options_), [&](uint64_t bytes, uint64_t bytes_to_check) {
      Report(totals, Progress::Phase::kVerifying, bytes, bytes_to_check);
    });
  }
  verify_seconds_ = Since(start);
  const TraceRange trace("publish");
  try {
    out_.Publish();
  } catch (...) {
    if (!out_.is_published()) KeepComplete();
    throw;
  }
}

// Publishing has taken the journal away, or got further; the next run only has to publish.
void MergeOutput::KeepComplete() {
  is_kept_ = true;
  out_.KeepStaging(true);
  std::fill(done_.begin(), done_.end(), true);
  recorded_ = done_;
  try {
    out_.WriteJournal(JournalText(), 0);
  } catch (...) {  // the error that ended the run is the one to tell
  }
}

bool MergeOutput::KeepForResume() {
  if (out_.is_published()) return false;
  if (!has_begun_ || is_kept_) return has_begun_ || out_.has_journal();
  try {
    if (!is_broken_) Flush();
  } catch (...) {  // what was durable before still is
  }
  bool keeps = true;
  try {
    keeps = CountRecorded() > 0;
  } catch (...) {  // nothing is thrown away because there is no memory to count it
  }
  out_.KeepStaging(keeps);
  return keeps;
}

Error MergeOutput::After(const Error& error) {
  std::vector<Diagnostic> diagnostics = error.diagnostics();
  if (!is_kept_ && !MayGoOnAfter(error.code())) return error;
  const bool is_kept = KeepForResume();
  if (!is_kept && error.code() != ErrorCode::kCancelled) return error;
  const uint64_t n_finished = is_kept_ ? Totals(plan_).n_tensors : CountRecorded();
  std::string& help = diagnostics.front().help;
  if (!help.empty()) help += "; ";
  // Where no lock tells whether this run still works, the next one has to be told.
  const bool was_trusted = error.code() == ErrorCode::kOutVerify && options_.resume == Resume::kTrust;
  const std::string resumable =
      fmt::format("resumable: run the same command again{}", was_trusted        ? " without --resume=trust"
                                                             : out_.is_locked() ? ""
                                                                                : " with --resume=trust");
  help += is_kept && has_begun_
              ? fmt::format("{}; {} of {} tensors are finished", resumable, n_finished, Totals(plan_).n_tensors)
          : is_kept ? resumable
                    : "run the same command again; no tensor was finished yet";
  return Error(std::move(diagnostics));
}

void MergeOutput::AfterUnknownError() { KeepForResume(); }

}  // namespace gpumerge
