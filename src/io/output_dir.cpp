// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The protocol of an output directory: lock, stage, sync, rename. How each step is done is in output_files.cpp.
#include "src/io/output_dir.h"

#include "src/base/file.h"
#include "src/base/system_calls.h"
#include "src/io/output_files.h"
#include "src/io/output_target.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>
#include <utility>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCopyBytes = size_t{256} << 10;

// A file of known size. Opened by its first write and closed by its last, so that any number of shards can be created
// up front within the limit of open files.
struct SizedFile {
  std::string path;
  uint64_t size_bytes = 0;
  std::atomic<uint64_t> written_bytes{0};
  std::mutex opening;
  UniqueFd fd;
};

[[noreturn]] void ThrowBug(std::string message, const std::string& path) {
  throw Error({.code = ErrorCode::kInternal,
               .message = std::move(message),
               .where = path,
               .found = {},
               .expected = {},
               .help = {}});
}

std::string Join(const std::string& directory, const std::string& name) {
  return (fs::path(directory) / name).string();
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
  explicit StagingDirectory(std::string path) : path_(std::move(path)) { MakeDirectory(path_); }
  ~StagingDirectory() {
    if (is_released_) return;
    try {
      RemoveTree(path_);
    } catch (const Error&) {  // the next run removes it
    }
  }
  StagingDirectory(const StagingDirectory&) = delete;
  StagingDirectory& operator=(const StagingDirectory&) = delete;

  void Release() { is_released_ = true; }

 private:
  std::string path_;
  bool is_released_ = false;
};

}  // namespace

// Members are made in this order and undone in the reverse one, also when a later one throws.
struct OutputDir::State {
  State(const std::string& target, bool overwrite_, Sync sync_)
      : places(FindOutputPlaces(target)),
        overwrite(overwrite_),
        sync(sync_),
        parents(places.parent),
        lock(places.lock) {
    RemoveLeftovers();
    CheckOutputTarget(places.target, overwrite);
    staging.emplace(places.staging);
  }

  // What a killed run left: safe to remove because this run holds the lock.
  void RemoveLeftovers() {
    if (!lock.is_held() && (PathExists(places.staging) || IsSymlink(places.staging))) {
      throw Error({.code = ErrorCode::kOutLocked,
                   .message = "another run may be writing this output: its staging directory exists",
                   .where = places.staging,
                   .found = {},
                   .expected = {},
                   .help = "this file system has no locks; remove the directory if no other run is active"});
    }
    RemoveTree(places.staging);
    if (places.in_place) return;
    // A kill between the two renames of ReplaceByRenames.
    if (PathExists(places.old) && !PathExists(places.target)) MoveAll({{places.old, places.target}});
    RemoveTree(places.old);
  }

  std::string NewPath(const std::string& file_name) const {
    const bool is_plain = !file_name.empty() && file_name != "." && file_name != ".." &&
                          file_name.find('/') == file_name.npos && file_name.find('\0') == file_name.npos;
    if (!is_plain) ThrowBug(fmt::format("not a file name: \"{}\"", file_name), places.target);
    return Join(places.staging, file_name);
  }

  void Finish(UniqueFd fd, const std::string& path) const {
    if (sync == Sync::kFull) SyncFile(fd.get(), path);
    CloseWritten(std::move(fd), path);
  }

  SizedFile& Sized(int handle) {
    const std::lock_guard guard(sized_mutex);
    return *sized.at(static_cast<size_t>(handle));
  }

  // The target is the new output. What fails from here on is an error, but one that says so.
  void FinishPublished() {
    parents.Keep();
    try {
      if (sync == Sync::kFull) {
        SyncDirectory(places.parent);
        for (const std::string& made : parents.paths()) SyncDirectory(fs::path(made).parent_path().string());
      }
      RemoveTree(places.staging);
      RemoveTree(places.old);
    } catch (const Error& error) {
      Diagnostic diagnostic = error.diagnostics().front();
      diagnostic.message = "the output is complete, but " + diagnostic.message;
      throw Error(std::move(diagnostic));
    }
  }

  void PublishByRename();
  void ReplaceByRenames();
  void PublishInPlace();

  const OutputPlaces places;
  const bool overwrite;
  const Sync sync;
  MadeDirectories parents;
  OutputLock lock;
  std::optional<StagingDirectory> staging;
  std::mutex sized_mutex;
  std::vector<std::unique_ptr<SizedFile>> sized;
};

OutputDir::OutputDir(const std::string& target, bool overwrite, Sync sync)
    : state_(std::make_unique<State>(target, overwrite, sync)) {}

OutputDir::~OutputDir() = default;

const std::string& OutputDir::staging_path() const { return state_->places.staging; }

int OutputDir::CreateSized(const std::string& file_name, uint64_t size_bytes) {
  auto file = std::make_unique<SizedFile>();
  file->path = state_->NewPath(file_name);
  file->size_bytes = size_bytes;
  UniqueFd fd = CreateNewFile(file->path);
  ReserveSpace(fd.get(), size_bytes, file->path);
  // An empty file gets no write that would finish it.
  if (size_bytes == 0)
    state_->Finish(std::move(fd), file->path);
  else
    CloseWritten(std::move(fd), file->path);
  const std::lock_guard guard(state_->sized_mutex);
  state_->sized.push_back(std::move(file));
  return static_cast<int>(state_->sized.size()) - 1;
}

void OutputDir::WriteAt(int handle, uint64_t offset_bytes, const void* data, size_t size_bytes) {
  if (size_bytes == 0) return;
  SizedFile& file = state_->Sized(handle);
  if (offset_bytes > file.size_bytes || size_bytes > file.size_bytes - offset_bytes)
    ThrowBug(fmt::format("a write of {} bytes at {} in a file of {}", size_bytes, offset_bytes, file.size_bytes),
             file.path);
  int fd = -1;
  {
    const std::lock_guard guard(file.opening);
    if (!file.fd) {
      if (file.written_bytes == file.size_bytes) ThrowBug("a write to a file that is complete", file.path);
      file.fd = OpenForWriting(file.path);
    }
    fd = file.fd.get();
  }
  WriteFully(fd, offset_bytes, data, size_bytes, file.path);
  // Whoever writes the last byte closes the file; the others have returned from their writes by then.
  if (file.written_bytes.fetch_add(size_bytes) + size_bytes == file.size_bytes)
    state_->Finish(std::move(file.fd), file.path);
}

void OutputDir::WriteFile(const std::string& file_name, std::string_view contents) {
  const std::string path = state_->NewPath(file_name);
  UniqueFd fd = CreateNewFile(path);
  WriteFully(fd.get(), 0, contents.data(), contents.size(), path);
  state_->Finish(std::move(fd), path);
}

void OutputDir::CopyFile(const std::string& file_name, const std::string& source_path) {
  const UniqueFd source = OpenRegular(source_path);
  const uint64_t size_bytes = RegularFileSize(source.get(), source_path);
  const std::string path = state_->NewPath(file_name);
  UniqueFd fd = CreateNewFile(path);
  std::string buffer(static_cast<size_t>(std::min<uint64_t>(size_bytes, kCopyBytes)), '\0');
  for (uint64_t at = 0; at < size_bytes; at += buffer.size()) {
    const auto n_bytes = static_cast<size_t>(std::min<uint64_t>(buffer.size(), size_bytes - at));
    ReadFully(source.get(), at, buffer.data(), n_bytes, source_path);
    WriteFully(fd.get(), at, buffer.data(), n_bytes, path);
  }
  state_->Finish(std::move(fd), path);
}

void OutputDir::Publish() {
  for (const auto& file : state_->sized) {
    if (file->written_bytes != file->size_bytes)
      ThrowBug(fmt::format("only {} of {} bytes were written", file->written_bytes.load(), file->size_bytes),
               file->path);
  }
  if (state_->sync == Sync::kFull) SyncDirectory(state_->places.staging);
  if (state_->places.in_place)
    state_->PublishInPlace();
  else
    state_->PublishByRename();
}

void OutputDir::State::PublishByRename() {
  if (!RenameDirectory(places.staging, places.target)) {
    // Also when the target came to be while the merge ran.
    CheckOutputTarget(places.target, overwrite);
    if (!ExchangeNames(places.staging, places.target)) ReplaceByRenames();
  }
  // Staging is gone now, or it is the old output.
  staging->Release();
  FinishPublished();
}

// For file systems that cannot exchange names: for a moment there is no target; the next run repairs a kill then.
void OutputDir::State::ReplaceByRenames() { MoveAll({{places.target, places.old}, {places.staging, places.target}}); }

void OutputDir::State::PublishInPlace() {
  constexpr const char* kLast = "config.json";  // no loader opens a directory without it
  std::vector<std::pair<std::string, std::string>> moves;
  const std::vector<std::string> entries = OutputEntries(places);
  if (!entries.empty()) CheckOutputTarget(places.target, overwrite);
  if (!entries.empty() && !PathExists(places.old)) MakeDirectory(places.old);
  for (const std::string& name : entries) moves.emplace_back(Join(places.target, name), Join(places.old, name));
  const auto is_last = [&](const auto& move) { return fs::path(move.first).filename() == kLast; };
  // The report stays while anything else does: without it, what a kill leaves could not be overwritten.
  const auto is_report = [](const auto& move) { return fs::path(move.first).filename() == kMergeReportFile; };
  std::stable_partition(moves.begin(), moves.end(), is_last);
  std::stable_partition(moves.begin(), moves.end(), [&](const auto& move) { return !is_report(move); });
  const auto n_old = static_cast<std::ptrdiff_t>(moves.size());
  for (const std::string& name : EntryNames(places.staging))
    moves.emplace_back(Join(places.staging, name), Join(places.target, name));
  std::stable_partition(moves.begin() + n_old, moves.end(), [&](const auto& move) { return !is_last(move); });
  std::stable_partition(moves.begin() + n_old, moves.end(), is_report);
  MoveAll(moves);
  staging->Release();
  FinishPublished();
}

}  // namespace gpumerge
