// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/io/sized_files.h"

#include "src/base/system_calls.h"
#include "src/io/output_files.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

namespace gpumerge {
namespace {

// Smaller writes come in such numbers that a request for each would cost more than it saves.
constexpr uint64_t kWritebackBytes = 64 << 10;

[[noreturn]] void ThrowBug(std::string message, const std::string& path) {
  throw Error({.code = ErrorCode::kInternal,
               .message = std::move(message),
               .where = path,
               .found = {},
               .expected = {},
               .help = {}});
}

}  // namespace

int SizedFiles::Create(std::string path, uint64_t size_bytes) {
  UniqueFd fd = CreateNewFile(path);
  ReserveSpace(fd.get(), size_bytes, path);
  // An empty file gets no write that would finish it.
  if (size_bytes == 0 && sync_ == Sync::kFull) SyncFile(fd.get(), path);
  CloseWritten(std::move(fd), path);
  return Add(std::move(path), size_bytes, 0);
}

int SizedFiles::Reopen(std::string path, uint64_t size_bytes, uint64_t bytes_to_write) {
  return Add(std::move(path), size_bytes, size_bytes - bytes_to_write);
}

int SizedFiles::Add(std::string path, uint64_t size_bytes, uint64_t written_bytes) {
  auto file = std::make_unique<File>();
  file->path = std::move(path);
  file->size_bytes = size_bytes;
  file->written_bytes = written_bytes;
  const std::lock_guard guard(mutex_);
  files_.push_back(std::move(file));
  return static_cast<int>(files_.size()) - 1;
}

SizedFiles::File& SizedFiles::At(int handle) {
  const std::lock_guard guard(mutex_);
  return *files_.at(static_cast<size_t>(handle));
}

void SizedFiles::WriteAt(int handle, uint64_t offset_bytes, const void* data, size_t size_bytes) {
  if (size_bytes == 0) return;
  File& file = At(handle);
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
  file.is_dirty = true;
  WriteFully(fd, offset_bytes, data, size_bytes, file.path);
  if (sync_ == Sync::kFull && size_bytes >= kWritebackBytes) BeginWriteback(fd, offset_bytes, size_bytes);
  // Whoever writes the last byte closes the file; the others have returned from their writes by then.
  if (file.written_bytes.fetch_add(size_bytes) + size_bytes == file.size_bytes) Finish(&file);
}

// A file that cannot be made durable is removed, and never synced again.
template <class Function>
void SizedFiles::OrLose(File* file, const Function& make_durable) {
  file->is_dirty = false;
  file->is_lost = true;
  try {
    make_durable();
  } catch (...) {
    // What follows may fail as well, and the first error is the one to tell.
    file->fd.Reset();
    Sys().Unlink(file->path.c_str());
    throw;
  }
  file->is_lost = false;
}

void SizedFiles::Finish(File* file) {
  OrLose(file, [&] {
    if (sync_ == Sync::kFull) SyncFile(file->fd.get(), file->path);
    CloseWritten(std::move(file->fd), file->path);
  });
}

void SizedFiles::Close(int handle) {
  File& file = At(handle);
  if (!file.fd) return;
  file.is_dirty = false;
  CloseWritten(std::move(file.fd), file.path);
}

void SizedFiles::SyncAll() {
  if (sync_ == Sync::kNone) return;
  std::exception_ptr first;
  for (const std::unique_ptr<File>& file : files_) {
    if (!file->is_dirty) continue;
    try {
      OrLose(file.get(), [&] { SyncFile(file->fd.get(), file->path); });
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

bool SizedFiles::IsLost(int handle) { return At(handle).is_lost; }

void SizedFiles::CheckComplete() const {
  for (const std::unique_ptr<File>& file : files_)
    if (file->written_bytes != file->size_bytes)
      ThrowBug(fmt::format("only {} of {} bytes were written", file->written_bytes.load(), file->size_bytes),
               file->path);
}

}  // namespace gpumerge
