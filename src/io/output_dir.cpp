// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The protocol of an output directory: lock, stage, sync, publish. How each step is done is in output_files.cpp,
// sized_files.cpp and output_publish.cpp.
#include "src/io/output_dir.h"

#include "src/base/file.h"
#include "src/base/file_identity.h"
#include "src/base/hash.h"
#include "src/base/system_calls.h"
#include "src/io/journal.h"
#include "src/io/leftovers.h"
#include "src/io/output_files.h"
#include "src/io/output_publish.h"
#include "src/io/output_target.h"
#include "src/io/sized_files.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <unistd.h>
#include <utility>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCopyBytes = size_t{256} << 10;
constexpr uint64_t kMaxJournalBytes = uint64_t{4} << 30;
constexpr const char* kPartEnding = ".part";  // of a file that has not got its name yet

[[noreturn]] void Throw(ErrorCode code, std::string message, const std::string& path, std::string help) {
  throw Error({.code = code,
               .message = std::move(message),
               .where = path,
               .found = {},
               .expected = {},
               .help = std::move(help)});
}

// Directories that were made for the output vanish again if it fails, unless somebody uses them by then.
class MadeDirectories {
 public:
  explicit MadeDirectories(const std::string& path) : made_(MakeDirectories(path)) {}
  ~MadeDirectories() {
    if (keep_) return;
    for (auto at = made_.rbegin(); at != made_.rend() && Sys().Rmdir(at->c_str()) == 0;) ++at;
  }
  MadeDirectories(const MadeDirectories&) = delete;
  MadeDirectories& operator=(const MadeDirectories&) = delete;

  void Keep() { keep_ = true; }
  const std::vector<std::string>& paths() const { return made_; }

 private:
  std::vector<std::string> made_;
  bool keep_ = false;
};

// Removes a tree in its destructor, where errors have nowhere to go: the run has failed already.
class StagingDirectory {
 public:
  StagingDirectory(std::string path, bool is_there) : path_(std::move(path)), keep_(is_there) {
    if (!is_there) MakeDirectory(path_);
  }
  ~StagingDirectory() {
    if (keep_) return;
    try {
      RemoveTree(path_);
    } catch (const Error&) {  // the next run removes it
    }
  }
  StagingDirectory(const StagingDirectory&) = delete;
  StagingDirectory& operator=(const StagingDirectory&) = delete;

  void Keep(bool keep) { keep_ = keep; }

 private:
  std::string path_;
  bool keep_;
};

}  // namespace

// Members are made in this order and undone in the reverse one, also when a later one throws.
struct OutputDir::State {
  State(const std::string& target, bool overwrite_, Sync sync_, Leftover leftover, std::string identity_)
      : places(FindOutputPlaces(target)),
        overwrite(overwrite_),
        sync(sync_),
        identity(std::move(identity_)),
        parents(places.parent),
        lock(places.lock),
        sized(sync_) {
    if (!lock.is_held() && leftover == Leftover::kKeep && IsThere(places.staging))
      Throw(ErrorCode::kOutLocked, "another run may be writing this output: its staging directory exists",
            places.staging,
            "this file system has no locks; if no other run is active, --resume=trust goes on with it, and "
            "--restart begins anew");
    leftovers = TakeLeftovers(places, identity, overwrite, sync, leftover);
    if (leftovers.is_complete) {
      is_published = true;
      parents.Keep();
      return;
    }
    has_journal = leftovers.is_to_go_on;
    CheckOutputTarget(places.target, overwrite);
    staging.emplace(places.staging, has_journal);
    if (sync == Sync::kNone) return;
    SyncDirectory(places.parent);
    for (const std::string& made : parents.paths()) SyncDirectory(fs::path(made).parent_path().string());
  }

  std::string PathOf(const std::string& file_name) const {
    const bool is_plain = !file_name.empty() && file_name != "." && file_name != ".." &&
                          file_name.find('/') == file_name.npos && file_name.find('\0') == file_name.npos;
    if (!is_plain) Throw(ErrorCode::kInternal, fmt::format("not a file name: \"{}\"", file_name), places.target, {});
    return Join(places.staging, file_name);
  }

  std::string NewPath(const std::string& file_name) const {
    std::string path = PathOf(file_name);
    if (IsThere(path)) Throw(ErrorCode::kOutIo, "the output would have two files of one name", path, {});
    return path;
  }

  // fill(fd, path) writes the file, which has its name only when it is complete.
  template <class Fill>
  void MakeFile(const std::string& path, const Fill& fill) const {
    const std::string part = path + kPartEnding;
    RemoveFile(part);
    UniqueFd fd = CreateNewFile(part);
    fill(fd.get(), part);
    if (sync == Sync::kFull) SyncFile(fd.get(), part);
    CloseWritten(std::move(fd), part);
    RenameFile(part, path);
  }

  void SyncIfAsked(const std::string& directory) const {
    if (sync == Sync::kFull) SyncDirectory(directory);
  }

  const OutputPlaces places;
  const bool overwrite;
  const Sync sync;
  const std::string identity;
  MadeDirectories parents;
  OutputLock lock;
  std::optional<StagingDirectory> staging;
  SizedFiles sized;
  TakenLeftovers leftovers;
  bool has_journal = false;
  uint64_t journal_bytes = 0;
  UniqueFd journal;
  bool is_published = false;
};

Error ButIsComplete(const Error& error) {
  Diagnostic diagnostic = error.diagnostics().front();
  diagnostic.message = "the output is complete, but " + diagnostic.message;
  return Error(std::move(diagnostic));
}

OutputDir::OutputDir(const std::string& target, bool overwrite, Sync sync, Leftover leftover, std::string identity)
    : state_(std::make_unique<State>(target, overwrite, sync, leftover, std::move(identity))) {}

OutputDir::~OutputDir() = default;

const std::string& OutputDir::staging_path() const { return state_->places.staging; }

bool OutputDir::is_locked() const { return state_->lock.is_held(); }

void OutputDir::KeepStaging(bool keep) { state_->staging->Keep(keep); }

const std::optional<Diagnostic>& OutputDir::warning() const { return state_->leftovers.warning; }

bool OutputDir::has_journal() const { return state_->has_journal; }

std::string OutputDir::ReadJournal() const {
  return ReadOwnFile(Join(state_->places.staging, kJournalFile), kMaxJournalBytes);
}

void OutputDir::WriteJournal(const std::string& text, uint64_t bytes_to_append) {
  const std::string path = Join(state_->places.staging, kJournalFile);
  state_->journal.Reset();
  state_->MakeFile(path, [&](int fd, const std::string& part) {
    ReserveToGrow(fd, text.size() + bytes_to_append, part);
    WriteFully(fd, 0, text.data(), text.size(), part);
  });
  state_->SyncIfAsked(state_->places.staging);
  state_->journal = OpenForWriting(path);
  state_->journal_bytes = text.size();
  state_->has_journal = true;
}

void OutputDir::AppendJournal(const std::string& text) {
  const std::string path = Join(state_->places.staging, kJournalFile);
  WriteFully(state_->journal.get(), state_->journal_bytes, text.data(), text.size(), path);
  if (state_->sync == Sync::kFull) SyncFile(state_->journal.get(), path);
  state_->journal_bytes += text.size();
}

void OutputDir::RemoveAllBut(const std::vector<std::string>& file_names) {
  for (const std::string& name : EntryNames(state_->places.staging))
    if (name != kJournalFile && std::find(file_names.begin(), file_names.end(), name) == file_names.end())
      RemoveTree(Join(state_->places.staging, name));
}

void OutputDir::SyncStaging() { state_->SyncIfAsked(state_->places.staging); }

int OutputDir::CreateSized(const std::string& file_name, uint64_t size_bytes) {
  return state_->sized.Create(state_->NewPath(file_name), size_bytes);
}

int OutputDir::ReopenSized(const std::string& file_name, uint64_t size_bytes, uint64_t bytes_to_write) {
  return state_->sized.Reopen(state_->PathOf(file_name), size_bytes, bytes_to_write);
}

void OutputDir::WriteAt(int handle, uint64_t offset_bytes, const void* data, size_t size_bytes) {
  state_->sized.WriteAt(handle, offset_bytes, data, size_bytes);
}

void OutputDir::CloseSized(int handle) { state_->sized.Close(handle); }

void OutputDir::SyncSized() { state_->sized.SyncAll(); }

bool OutputDir::IsLost(int handle) const { return state_->sized.IsLost(handle); }

void OutputDir::WriteFile(const std::string& file_name, std::string_view contents) {
  state_->MakeFile(state_->NewPath(file_name),
                   [&](int fd, const std::string& part) { WriteFully(fd, 0, contents.data(), contents.size(), part); });
}

std::string OutputDir::CopyFile(const std::string& file_name, const std::string& source_path,
                                const FileIdentity& source_identity) {
  const UniqueFd source = OpenRegular(source_path);
  CheckOpenUnchanged(source.get(), source_path, source_identity);
  const uint64_t size_bytes = source_identity.size_bytes;
  ContentHash hash;
  state_->MakeFile(state_->NewPath(file_name), [&](int fd, const std::string& part) {
    std::string buffer(static_cast<size_t>(std::min<uint64_t>(size_bytes, kCopyBytes)), '\0');
    for (uint64_t at = 0; at < size_bytes; at += buffer.size()) {
      const auto n_bytes = static_cast<size_t>(std::min<uint64_t>(buffer.size(), size_bytes - at));
      ReadFully(source.get(), at, buffer.data(), n_bytes, source_path);
      WriteFully(fd, at, buffer.data(), n_bytes, part);
      hash.Update(buffer.data(), n_bytes);
    }
  });
  CheckOpenUnchanged(source.get(), source_path, source_identity);
  return hash.Hex();
}

void OutputDir::Publish() {
  State& state = *state_;
  state.sized.CheckComplete();
  state.journal.Reset();
  RemoveFile(Join(state.places.staging, kJournalFile));
  state.SyncIfAsked(state.places.staging);
  state.staging->Keep(true);
  const std::string list = Join(state.places.staging, kPublishingFile);
  try {
    PublishStaging(state.places, state.identity, state.overwrite, state.sync);
  } catch (...) {
    // Some of it may be in the target already, unless it is sure that nothing is: the next run goes on with the rest.
    struct stat status {};
    state.staging->Keep(Sys().Lstat(list.c_str(), &status) == 0 || errno != ENOENT);
    throw;
  }
  // The target is the new output, and staging is gone or the old one. What fails from here on is an error, but one
  // that says so.
  state.is_published = true;
  state.parents.Keep();
  try {
    state.SyncIfAsked(state.places.parent);
    RemoveLeftovers(state.places);
  } catch (const Error& error) {
    throw ButIsComplete(error);
  }
}

bool OutputDir::is_published() const { return state_->is_published; }

}  // namespace gpumerge
