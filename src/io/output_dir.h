// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The output directory: everything is written to a staging directory beside the target, and the target appears by one
// rename when all of it is there. Until then the target is as it was. Staging is removed on any error, unless it is to
// be kept for the next run, which goes on from the journal in it.
#pragma once

#include "gpumerge/error.h"
#include "gpumerge/file_identity.h"
#include "gpumerge/options.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

// Every merge writes it, and what lacks it is not taken for an earlier output.
inline constexpr const char* kMergeReportFile = "gpumerge_report.json";

// Throws Error(OUT-EXISTS) unless `target` does not exist, is an empty directory, or overwrite is set and it is an
// earlier output, that is, holds kMergeReportFile (even then not a git repository, or what holds the home or working
// directory); Error(OUT-IO) when it cannot be written there.
void CheckOutputTarget(const std::string& target, bool overwrite);
// Throws Error(OUT-IN-INPUT) when target equals, contains or lies in one of the input directories, links resolved.
// linked_dirs: where links of the inputs lead; the output may lie beside what they lead to, but not replace it.
void CheckOutputApart(const std::string& target, const std::vector<std::string>& input_dirs,
                      const std::vector<std::string>& linked_dirs = {});
// Free bytes (for this user) of the file system that target will be on; looks at the nearest existing parent.
uint64_t FreeDiskBytes(const std::string& target);
// Bytes that an interrupted run's staging directory takes on the disk.
uint64_t StagedBytes(const std::string& target);

// What to do with the staging directory of an interrupted run. On a file system without locks nobody knows whether that
// run has ended; kKeep is refused there.
enum class Leftover : uint8_t { kDiscard, kKeep, kTakeOver };

// The error as it is told when the output has its name already.
Error ButIsComplete(const Error& error);

class OutputDir {
 public:
  // Takes the lock beside the target and makes the staging directory (and missing parents). A staging directory with a
  // journal stays when it is to be kept, see has_journal(); what was killed while it was published is put in place.
  // Throws Error(OUT-LOCKED, OUT-EXISTS, OUT-IO), and Error(RES-MISMATCH) when somebody else's run left it.
  // identity: what decides the output. When an earlier run had begun to publish the same, it is_published() at once,
  // and nothing else is to be done.
  OutputDir(const std::string& target, bool overwrite, Sync sync, Leftover leftover = Leftover::kDiscard,
            std::string identity = {});
  // Removes the staging directory unless Publish() returned or it is kept. Releases the lock.
  ~OutputDir();
  OutputDir(const OutputDir&) = delete;
  OutputDir& operator=(const OutputDir&) = delete;

  const std::string& staging_path() const;
  // False on a file system without locks.
  bool is_locked() const;
  // Whether staging stays when this ends without having been published. At first: when it is an interrupted run's.
  void KeepStaging(bool keep);

  // That an interrupted run's work could not be used, and why.
  const std::optional<Diagnostic>& warning() const;

  bool has_journal() const;
  std::string ReadJournal() const;
  // The whole journal, at once: the old one is there until the new one is durable. Its space is reserved with that of
  // bytes_to_append, so that a disk that fills up later takes no finished tensor with it. Throws Error(OUT-SPACE).
  void WriteJournal(const std::string& text, uint64_t bytes_to_append);
  // Appends, durably if asked. After an error the journal ends as before, or with a part of the text.
  void AppendJournal(const std::string& text);
  // Everything else is removed from staging, but the journal.
  void RemoveAllBut(const std::vector<std::string>& file_names);

  // Makes the names in staging durable, if asked.
  void SyncStaging();

  // Creates a file of that size with its space reserved. Returns its handle for WriteAt. Throws Error(OUT-SPACE,
  // OUT-IO).
  int CreateSized(const std::string& file_name, uint64_t size_bytes);
  // Goes on with one of an interrupted run: bytes_to_write are to be written, at least one.
  int ReopenSized(const std::string& file_name, uint64_t size_bytes, uint64_t bytes_to_write);
  // Writes all of it; thread-safe for disjoint ranges. Each byte of the file must be written once: with the last one
  // the file is synced (if asked) and closed. Throws Error(OUT-IO, OUT-FSYNC).
  void WriteAt(int handle, uint64_t offset_bytes, const void* data, size_t size_bytes);
  // Gives its descriptor back until the next WriteAt, so that any number of files can be begun. What was written is not
  // durable before something else of the file is.
  void CloseSized(int handle);
  // Makes durable (if asked) what WriteAt wrote; not while another thread writes. A file that cannot be made durable
  // is removed, the others are durable all the same. Throws Error(OUT-FSYNC).
  void SyncSized();
  // Whether WriteAt or SyncSized has removed it.
  bool IsLost(int handle) const;

  void WriteFile(const std::string& file_name, std::string_view contents);
  // Returns the XXH3-128 of what was copied. Throws Error(IN-*) when the source cannot be read, or is not what it was.
  std::string CopyFile(const std::string& file_name, const std::string& source_path,
                       const FileIdentity& source_identity);

  // Removes the journal and renames staging to the target, exchanging it with an old one if overwrite, which is then
  // deleted. Where a directory cannot be renamed (a mount point), its files are moved and config.json becomes visible
  // last. Every sized file must be complete. Throws Error(OUT-IO, OUT-FSYNC, OUT-EXISTS).
  void Publish();
  // Whether the target is the output, also when Publish() threw while it cleaned up.
  bool is_published() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gpumerge
