// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a run has finished, kept beside its output so that the next run can go on. Lines of text, each the XXH3-64 of
// its JSON in 16 hex digits, a blank, the JSON: first the header, then one line for every finished tensor. Text in
// memory only; the file is written and read elsewhere. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

inline constexpr const char* kJournalFile = "journal.gpj";

// A weight file that the run reads.
struct JournalInput {
  std::string path;
  uint64_t size_bytes = 0;
  int64_t mtime_ns = 0;
  std::string header_hash;  // XXH3-128 of its safetensors header

  bool operator==(const JournalInput&) const = default;
};

// Everything that decides the output's bytes; of the machine and of how it is used, nothing.
struct JournalHeader {
  std::string version;  // of gpumerge
  std::string recipe;   // XXH3-128 of the recipe as run
  std::string plan;     // XXH3-128 of the plan, with the files' headers and the texts that are copied or written
  uint64_t n_tensors = 0, n_shards = 0, size_bytes = 0;  // of the output
  std::vector<JournalInput> inputs;

  bool operator==(const JournalHeader&) const = default;
};

// A finished tensor: where it is, and what the report says of it.
struct JournalRecord {
  std::string tensor;
  std::string stage;  // empty: of the output. A stage's tensor is kept in no file, shard is empty then
  std::string shard;
  uint64_t offset_bytes = 0, size_bytes = 0;
  std::string hash;                 // XXH3-128
  std::vector<std::string> inputs;  // their hashes
  uint64_t n_overflowed = 0;
  std::vector<uint64_t> n_nonfinite{};  // of the inputs; empty: none
  uint64_t n_differing = 0;
  bool used_lerp = false;
  double error_squares = 0, change_squares = 0;  // rounding loss

  bool operator==(const JournalRecord&) const = default;
};

struct Journal {
  JournalHeader header;
  std::vector<JournalRecord> records;
  bool has_bad_end = false;  // a line that was not written whole, or damaged: it and all after it count for nothing
};

// With the line end.
std::string JournalLine(const JournalHeader& header);
std::string JournalLine(const JournalRecord& record);

// nullopt when the first line is not a header that this version wrote. Nothing but what JournalLine gives is accepted.
std::optional<Journal> ParseJournal(std::string_view text);

// The first field in which they differ, with what it is in both. nullopt: none.
struct JournalDifference {
  std::string field, was, is;
};
std::optional<JournalDifference> FirstDifference(const JournalHeader& was, const JournalHeader& is);

}  // namespace gpumerge
