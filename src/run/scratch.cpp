// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/scratch.h"

#include "src/base/system_calls.h"
#include "src/base/text.h"
#include "src/io/output_dir.h"

#include "gpumerge/error.h"

#include <cerrno>
#include <fcntl.h>
#include <utility>

namespace gpumerge {
namespace {

constexpr uint64_t kPageBytes = 4096;

// Some file systems have no files without a name; there it has one for a moment.
UniqueFd OpenNameless(const std::string& directory, const std::string& path) {
  UniqueFd fd(Sys().Open(directory.c_str(), O_TMPFILE | O_RDWR, 0600));
  if (fd) return fd;
  fd.Reset(Sys().Open(path.c_str(), O_CREAT | O_TRUNC | O_NOFOLLOW | O_RDWR, 0600));
  if (!fd || Sys().Unlink(path.c_str()) != 0)
    throw Error({.code = ErrorCode::kOutIo,
                 .message = "a scratch file cannot be made",
                 .where = path,
                 .found = ErrnoText(errno)});
  return fd;
}

bool GiveBack(int fd, uint64_t begin, uint64_t end) {
  return Sys().Fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                         static_cast<off_t>(end - begin)) == 0;
}

}  // namespace

Scratch::Scratch(const std::string& directory, uint64_t all_bytes)
    : path_(directory + "/.scratch"), fd_(OpenNameless(directory, path_)) {
  const char byte = 0;
  WriteFully(fd_.get(), 0, &byte, 1, path_);
  gives_back_ = GiveBack(fd_.get(), 0, kPageBytes);
  const uint64_t free_bytes = FreeDiskBytes(directory);
  if (gives_back_ || free_bytes >= all_bytes) return;
  throw Error({.code = ErrorCode::kOutSpace,
               .message = "not enough disk space for what the stages pass on; this file system cannot give back the "
                          "space of a part of a file",
               .where = directory,
               .found = FormatBytes(free_bytes) + " free",
               .expected = FormatBytes(all_bytes),
               .help = "free some space or choose another place with --out"});
}

void Scratch::Write(uint64_t offset_bytes, const void* data, uint64_t size_bytes) {
  WriteFully(fd_.get(), offset_bytes, data, size_bytes, path_);
}

void Scratch::Read(uint64_t offset_bytes, void* to, uint64_t size_bytes) const {
  try {
    ReadFully(fd_.get(), offset_bytes, to, size_bytes, path_);
  } catch (const Error& error) {
    Diagnostic diagnostic = error.diagnostics().front();
    diagnostic.code = ErrorCode::kOutIo;  // it is the run's own file, no input
    throw Error(std::move(diagnostic));
  }
}

void Scratch::Free(uint64_t offset_bytes, uint64_t size_bytes) {
  const uint64_t begin = (offset_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  const uint64_t end = (offset_bytes + size_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  if (gives_back_ && begin < end) gives_back_ = GiveBack(fd_.get(), begin, end);
}

}  // namespace gpumerge
