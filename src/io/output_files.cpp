// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// System calls with their errors.
#include "src/io/output_files.h"

#include "src/base/system_calls.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gpumerge {
namespace {

[[noreturn]] void ThrowOutput(std::string_view what, int error_number, const std::string& path,
                              ErrorCode code = ErrorCode::kOutIo) {
  const bool is_full = error_number == ENOSPC || error_number == EDQUOT;
  throw Error({.code = code,
               .message = fmt::format("{}: {}", what, ErrnoText(error_number)),
               .where = path,
               .found = {},
               .expected = {},
               .help = is_full ? "free some space, or write to another disk with --out" : ""});
}

// A call that a signal interrupted has done nothing.
template <class Call>
int Uninterrupted(const Call& call) {
  int status = 0;
  do {
    status = call();
  } while (status < 0 && errno == EINTR);
  return status;
}

int Rename(const std::string& from, const std::string& to, unsigned flags) {
  return Uninterrupted([&] { return Sys().Rename(from.c_str(), to.c_str(), flags); });
}

UniqueFd Open(const std::string& path, int flags, std::string_view what) {
  UniqueFd fd(Uninterrupted([&] { return Sys().Open(path.c_str(), flags | O_NOFOLLOW, 0666); }));
  if (!fd) ThrowOutput(what, errno, path);
  return fd;
}

// Another user's lock file may only be read, which is enough to lock it.
UniqueFd OpenLock(const std::string& path) {
  UniqueFd fd(Uninterrupted([&] { return Sys().Open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0666); }));
  if (fd) return fd;
  const int error_number = errno;
  if (error_number == EACCES)
    fd.Reset(Uninterrupted([&] { return Sys().Open(path.c_str(), O_RDONLY | O_NOFOLLOW, 0); }));
  if (!fd) ThrowOutput("cannot create the output's lock file", error_number, path);
  return fd;
}

// What the holder of a lock wrote about itself, e.g. "pid 4711 on host x since 2026-01-31 12:00:00 UTC".
std::string DescribeThisRun() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host = {'?'};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> since{};
  std::strftime(since.data(), since.size(), "%Y-%m-%d %H:%M:%S UTC", &utc);
  return fmt::format("pid {} on host {} since {}\n", ::getpid(), host.data(), since.data());
}

[[noreturn]] void ThrowLocked(int fd, const std::string& path) {
  std::array<char, 512> holder{};
  const ssize_t size = Sys().Pread(fd, holder.data(), holder.size(), 0);
  std::string text(holder.data(), size > 0 ? static_cast<size_t>(size) : 0);
  text.erase(std::min(text.find('\n'), text.size()));
  throw Error({.code = ErrorCode::kOutLocked,
               .message = fmt::format("another run writes this output{}{}", text.empty() ? "" : ": ", text),
               .where = path,
               .found = {},
               .expected = {},
               .help = "wait for it to end or stop it; the lock ends with that process"});
}

// The directory is a mount point, or on another file system than its new place, or the file system cannot.
bool CannotRename(int error_number) { return error_number == EXDEV || error_number == EBUSY || error_number == EINVAL; }

// False and errno when something is left.
bool RemoveBelow(const std::string& path) {
  struct stat status {};
  if (Sys().Lstat(path.c_str(), &status) != 0) return errno == ENOENT || errno == ENOTDIR;
  if (!S_ISDIR(status.st_mode))
    return Uninterrupted([&] { return Sys().Unlink(path.c_str()); }) == 0 || errno == ENOENT;
  std::vector<std::string> names;
  if (Sys().ReadDirectory(path.c_str(), &names) != 0) return false;
  for (const std::string& name : names)
    if (!RemoveBelow(path + "/" + name)) return false;
  return Uninterrupted([&] { return Sys().Rmdir(path.c_str()); }) == 0 || errno == ENOENT;
}

// The lock file may have been removed, by the run that ended, between our open and our flock.
bool IsStillNamed(int fd, const std::string& path) {
  struct stat ours {
  }, named{};
  if (Sys().Fstat(fd, &ours) != 0) ThrowOutput("cannot look at the output's lock file", errno, path);
  if (Sys().Lstat(path.c_str(), &named) != 0) {
    if (errno != ENOENT) ThrowOutput("cannot look at the output's lock file", errno, path);
    return false;
  }
  return ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

// False: the file system cannot reserve. Not posix_fallocate: there the C library would write to every block instead.
bool Reserve(int fd, int mode, uint64_t size_bytes, const std::string& path) {
  if (Uninterrupted([&] { return Sys().Fallocate(fd, mode, 0, static_cast<off_t>(size_bytes)); }) == 0) return true;
  if (errno == EOPNOTSUPP || errno == ENOSYS) return false;
  if (errno != ENOSPC && errno != EDQUOT) ThrowOutput("cannot reserve the output's space", errno, path);
  throw Error({.code = ErrorCode::kOutSpace,
               .message = fmt::format("cannot reserve the output's space: {}", ErrnoText(errno)),
               .where = path,
               .found = {},
               .expected = fmt::format("{} bytes", size_bytes),
               .help = "free some space, or write to another disk with --out"});
}

}  // namespace

std::string Join(const std::string& directory, const std::string& name) {
  return (std::filesystem::path(directory) / name).string();
}

UniqueFd CreateNewFile(const std::string& path) {
  return Open(path, O_WRONLY | O_CREAT | O_EXCL, "cannot create an output file");
}

UniqueFd OpenForWriting(const std::string& path) { return Open(path, O_WRONLY, "cannot open an output file"); }

std::string ReadOwnFile(const std::string& path, uint64_t max_bytes) {
  try {
    return ReadSmallFile(path, max_bytes);
  } catch (const Error& error) {
    Diagnostic diagnostic = error.diagnostics().front();
    diagnostic.code = ErrorCode::kOutIo;  // it is no input
    diagnostic.message = "what an earlier run left cannot be read: " + diagnostic.message;
    throw Error(std::move(diagnostic));
  }
}

void ReserveToGrow(int fd, uint64_t size_bytes, const std::string& path) {
  if (size_bytes > 0) Reserve(fd, FALLOC_FL_KEEP_SIZE, size_bytes, path);
}

void ReserveSpace(int fd, uint64_t size_bytes, const std::string& path) {
  if (size_bytes == 0 || Reserve(fd, 0, size_bytes, path)) return;
  const auto size = static_cast<off_t>(size_bytes);
  if (Uninterrupted([&] { return Sys().Ftruncate(fd, size); }) != 0)
    ThrowOutput("cannot set the output's size", errno, path);
}

void BeginWriteback(int fd, uint64_t offset_bytes, uint64_t size_bytes) {
  // Whole pages only: the others are about to be written to once more.
  constexpr uint64_t kPageBytes = 4096;
  const uint64_t first = (offset_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  const uint64_t end = (offset_bytes + size_bytes) / kPageBytes * kPageBytes;
  if (first < end)
    Sys().SyncFileRange(fd, static_cast<off_t>(first), static_cast<off_t>(end - first), SYNC_FILE_RANGE_WRITE);
}

void SyncFile(int fd, const std::string& path) {
  // Never retried: after a failed sync the kernel may call lost pages clean. An interrupted one has not failed.
  if (Uninterrupted([&] { return Sys().Fdatasync(fd); }) == 0) return;
  ThrowOutput("cannot make the output durable", errno, path, ErrorCode::kOutFsync);
}

void SyncDirectory(const std::string& path) {
  const UniqueFd fd = Open(path, O_RDONLY | O_DIRECTORY, "cannot open the directory to make it durable");
  // Some network file systems have no fsync for directories, and nothing better to offer.
  if (Uninterrupted([&] { return Sys().Fsync(fd.get()); }) == 0 || errno == EINVAL) return;
  ThrowOutput("cannot make the directory durable", errno, path, ErrorCode::kOutFsync);
}

void MakeDirectory(const std::string& path) {
  if (Uninterrupted([&] { return Sys().Mkdir(path.c_str(), 0777); }) != 0)
    ThrowOutput("cannot create the output directory", errno, path);
}

std::vector<std::string> MakeDirectories(const std::string& path) {
  std::vector<std::string> missing;
  struct stat status {};
  for (std::filesystem::path at = path; Sys().Stat(at.c_str(), &status) != 0; at = at.parent_path()) {
    // Only what is surely missing is made; on an error there would be no end to the parents.
    if (errno != ENOENT || at == at.parent_path()) ThrowOutput("cannot look at the output's place", errno, at.string());
    missing.push_back(at.string());
  }
  std::vector<std::string> made;
  made.reserve(missing.size());
  for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
    if (Uninterrupted([&] { return Sys().Mkdir(at->c_str(), 0777); }) == 0) {
      made.push_back(std::move(*at));
      continue;
    }
    const int error_number = errno;
    if (error_number == EEXIST && IsDirectory(*at)) continue;  // another run's, since we looked
    for (; !made.empty(); made.pop_back()) Sys().Rmdir(made.back().c_str());
    ThrowOutput("cannot create the output directory", error_number, *at);
  }
  return made;
}

void RemoveTree(const std::string& path) {
  if (!RemoveBelow(path)) ThrowOutput("cannot remove", errno, path);
}

Renamed RenameDirectory(const std::string& from, const std::string& to) {
  if (Rename(from, to, RENAME_NOREPLACE) == 0) return Renamed::kDone;
  // Without the flag an empty directory is replaced as well, and nothing else.
  const bool asks_again = errno == EEXIST || errno == EINVAL || errno == ENOSYS;
  if (asks_again && Rename(from, to, 0) == 0) return Renamed::kDone;
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) return Renamed::kExists;
  if (CannotRename(errno)) return Renamed::kImpossible;
  ThrowOutput("cannot give the output its name", errno, to);
}

Renamed ExchangeNames(const std::string& a, const std::string& b) {
  if (Rename(a, b, RENAME_EXCHANGE) == 0) return Renamed::kDone;
  if (errno == ENOSYS || errno == EOPNOTSUPP || CannotRename(errno)) return Renamed::kImpossible;
  ThrowOutput("cannot replace the old output", errno, b);
}

void RenameFile(const std::string& from, const std::string& to) {
  if (Rename(from, to, 0) != 0) ThrowOutput("cannot give an output file its name", errno, to);
}

void RemoveFile(const std::string& path) {
  if (Uninterrupted([&] { return Sys().Unlink(path.c_str()); }) != 0 && errno != ENOENT)
    ThrowOutput("cannot remove", errno, path);
}

void MoveAll(const std::vector<std::pair<std::string, std::string>>& moves) {
  for (size_t i = 0; i < moves.size(); ++i) {
    if (Rename(moves[i].first, moves[i].second, 0) == 0) continue;
    const int error_number = errno;
    const std::string& path = moves[i].second;
    while (i-- > 0) {
      if (Rename(moves[i].second, moves[i].first, 0) != 0)
        ThrowOutput("cannot undo a half-published output", errno, moves[i].second);
    }
    ThrowOutput("cannot move the output into place", error_number, path);
  }
}

OutputLock::OutputLock(std::string path) : path_(std::move(path)) {
  do {
    fd_ = OpenLock(path_);
    if (Uninterrupted([&] { return Sys().Flock(fd_.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) ThrowLocked(fd_.get(), path_);
      if (errno == ENOSYS || errno == ENOLCK || errno == EOPNOTSUPP) return;
      ThrowOutput("cannot lock the output", errno, path_);
    }
  } while (!IsStillNamed(fd_.get(), path_));
  is_held_ = true;
  // Only for the message that another run shows: a full disk must not fail here.
  const std::string text = DescribeThisRun();
  if (Sys().Ftruncate(fd_.get(), 0) == 0 && Sys().Pwrite(fd_.get(), text.data(), text.size(), 0) < 0) return;
}

OutputLock::~OutputLock() {
  // Removed while it is held: whoever opened it before finds that it has lost its name and starts again.
  Sys().Unlink(path_.c_str());
}

}  // namespace gpumerge
