// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The journal of a merge. The bytes are read as they are, and once more with the right hash put before each line, so
// that mutations reach the JSON. Only what the journal itself would write is accepted.
#include "src/base/hash.h"
#include "src/io/journal.h"
#include "tests/fuzz/fuzz_target.h"

#include <fmt/format.h>

#include <algorithm>

namespace gpumerge::test {
namespace {

void CheckJournal(std::string_view text) {
  std::optional<Journal> journal;
  if (!Accepts([&] { journal = ParseJournal(text); }) || !journal) return;
  std::string written = JournalLine(journal->header);
  for (const JournalRecord& record : journal->records) written += JournalLine(record);
  Promise(text.substr(0, written.size()) == written, "what is read is what would be written");
  Promise(journal->has_bad_end == (written.size() != text.size()), "what is not read is said to be bad");
  // A journal that grows keeps what it said: a shorter one has the first records of a longer one.
  const std::optional<Journal> cut = ParseJournal(text.substr(0, written.size() - 1));
  if (journal->records.empty()) {
    Promise(!cut.has_value(), "a header that is cut off is none");
    return;
  }
  Promise(cut && cut->has_bad_end && cut->records.size() + 1 == journal->records.size(),
          "a torn line counts for nothing");
}

}  // namespace
}  // namespace gpumerge::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gpumerge;        // NOLINT
  using namespace gpumerge::test;  // NOLINT
  std::string_view text = AsText(data, size);
  CheckJournal(text);
  std::string hashed;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() > 17 && line[16] == ' ') line.remove_prefix(17);
    hashed += fmt::format("{:016x} {}\n", LineHash(line), line);
  }
  CheckJournal(hashed);
  return 0;
}
