// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/finished.h"

#include "src/run/item_queue.h"
#include "src/run/staged_hashes.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <optional>
#include <unordered_map>
#include <utility>

namespace gpumerge {
namespace {

std::string StageOf(const Plan& plan, const PlanItem& item) { return item.stage ? plan.stages[*item.stage].name : ""; }
std::string KeyOf(const std::string& stage, const std::string& tensor) { return stage + '\0' + tensor; }

// Where the plan has it, and with as many inputs.
bool IsOf(const JournalRecord& record, const Plan& plan, const PlanItem& item) {
  return record.size_bytes == item.size_bytes && record.inputs.size() == item.inputs.size() &&
         (item.stage ? record.shard.empty()
                     : record.shard == plan.shards[item.shard].file_name && record.offset_bytes == item.offset_bytes);
}

Error Mismatch(std::string message, const std::string& where, std::string found, std::string expected) {
  return Error({.code = ErrorCode::kResMismatch,
                .message = std::move(message),
                .where = where,
                .found = std::move(found),
                .expected = std::move(expected),
                .help = "--restart throws the interrupted run's work away and begins anew; or give another --out"});
}

Journal ReadOwnJournal(const JournalHeader& header, const StagedRun& run) {
  const std::string place = run.directory + "/" + kJournalFile;
  std::optional<Journal> journal = ParseJournal(run.journal);
  if (!journal) throw Mismatch("the journal of an interrupted run cannot be read", place, {}, {});
  if (const std::optional<JournalDifference> other = FirstDifference(journal->header, header))
    throw Mismatch(fmt::format("an interrupted run left another merge here: `{}` differs", other->field), place,
                   other->was, other->is);
  return std::move(*journal);
}

void TakeRecords(const Plan& plan, const Journal& journal, const StagedRun& run, FinishedItems* finished) {
  std::unordered_map<std::string, uint64_t> items;
  for (uint64_t i = 0; i < plan.items.size(); ++i) items[KeyOf(StageOf(plan, plan.items[i]), plan.items[i].name)] = i;
  for (const JournalRecord& record : journal.records) {
    const auto found = items.find(KeyOf(record.stage, record.tensor));
    if (found == items.end()) continue;
    const PlanItem& item = plan.items[found->second];
    if (!IsOf(record, plan, item) || (!item.stage && !run.shard_is_there[item.shard])) continue;
    finished->done[found->second] = true;
    finished->results[found->second] = {.input_hashes = record.inputs,
                                        .output_hash = record.hash,
                                        .used_lerp = record.used_lerp,
                                        .loss = {record.error_squares, record.change_squares},
                                        .n_overflowed = record.n_overflowed,
                                        .n_nonfinite = record.n_nonfinite,
                                        .n_differing = record.n_differing};
  }
}

void CheckHashes(const Plan& plan, const StagedRun& run, uint32_t n_threads,
                 const std::function<void(uint64_t bytes, uint64_t bytes_to_read)>& report, FinishedItems* finished) {
  std::vector<uint64_t> items;
  uint64_t bytes_to_read = 0;
  for (uint64_t i = 0; i < plan.items.size(); ++i) {
    if (!finished->done[i] || plan.items[i].stage) continue;
    items.push_back(i);
    bytes_to_read += plan.items[i].size_bytes;
  }
  const std::vector<std::string> hashes =
      HashStaged(plan, run.directory, items, n_threads, [&](uint64_t bytes) { report(bytes, bytes_to_read); });
  for (size_t i = 0; i < items.size(); ++i) {
    if (hashes[i] == finished->results[items[i]].output_hash) continue;
    finished->done[items[i]] = false;
    ++finished->n_damaged;
  }
}

// What a stage made is in no file any more: it is done when everything that reads it is.
void DropStagesToDoAgain(const Plan& plan, FinishedItems* finished) {
  for (uint64_t i = plan.items.size(); i-- > 0;)
    if (!finished->done[i])
      for (const uint64_t read : ItemsReadBy(plan.items[i])) finished->done[read] = false;
  for (uint64_t i = 0; i < plan.items.size(); ++i)
    if (!finished->done[i]) finished->results[i] = {};
}

}  // namespace

FinishedItems FindFinished(const Plan& plan, const JournalHeader& header, const StagedRun& run, Resume resume,
                           uint32_t n_threads,
                           const std::function<void(uint64_t bytes, uint64_t bytes_to_read)>& report) {
  const Journal journal = ReadOwnJournal(header, run);
  FinishedItems finished;
  finished.done.resize(plan.items.size());
  finished.results.resize(plan.items.size());
  TakeRecords(plan, journal, run, &finished);
  if (resume == Resume::kCheck) CheckHashes(plan, run, n_threads, report, &finished);
  DropStagesToDoAgain(plan, &finished);
  return finished;
}

std::string RecordLine(const Plan& plan, uint64_t i, const ItemResult& result) {
  const PlanItem& item = plan.items[i];
  return JournalLine(JournalRecord{.tensor = item.name,
                                   .stage = StageOf(plan, item),
                                   .shard = item.stage ? "" : plan.shards[item.shard].file_name,
                                   .offset_bytes = item.stage ? 0 : item.offset_bytes,
                                   .size_bytes = item.size_bytes,
                                   .hash = result.output_hash,
                                   .inputs = result.input_hashes,
                                   .n_overflowed = result.n_overflowed,
                                   .n_nonfinite = result.n_nonfinite,
                                   .n_differing = result.n_differing,
                                   .used_lerp = result.used_lerp,
                                   .error_squares = result.loss.error_squares,
                                   .change_squares = result.loss.change_squares});
}

}  // namespace gpumerge
