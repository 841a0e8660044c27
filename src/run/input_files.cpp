// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/input_files.h"

#include "src/base/system_calls.h"

#include "gpumerge/error.h"

#include <sys/resource.h>
#include <sys/stat.h>

namespace gpumerge {
namespace {

// Many shards of many models may be open at once; the usual soft limit is 1024.
void AllowManyFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int64_t Nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

bool IsSame(const PlanFile& file, const struct stat& now) {
  return file.device == now.st_dev && file.inode == now.st_ino &&
         file.size_bytes == static_cast<uint64_t>(now.st_size) && file.mtime_ns == Nanoseconds(now.st_mtim) &&
         file.ctime_ns == Nanoseconds(now.st_ctim);
}

Error Changed(const std::string& path) {
  return Error({.code = ErrorCode::kInChanged,
                .message = "an input file changed after it was planned",
                .where = path,
                .help = "let the other program finish, then run the merge again"});
}

}  // namespace

InputFiles::InputFiles(const Plan& plan, const Scratch* scratch) : plan_(plan), scratch_(scratch) {
  AllowManyFiles();
  for (const PlanFile& file : plan.files) {
    fds_.push_back(OpenRegular(file.path));
    struct stat now {};
    if (Sys().Fstat(fds_.back().get(), &now) != 0 || !IsSame(file, now)) throw Changed(file.path);
  }
}

void InputFiles::Read(const PlanInput& input, uint64_t offset_bytes, void* to, uint64_t size_bytes) const {
  if (input.item) return scratch_->Read(input.offset_bytes + offset_bytes, to, size_bytes);
  ReadFully(fds_[input.file].get(), input.offset_bytes + offset_bytes, to, size_bytes, plan_.files[input.file].path);
}

void InputFiles::CheckUnchanged() const {
  for (size_t i = 0; i < fds_.size(); ++i) {
    struct stat opened {
    }, named{};
    const PlanFile& file = plan_.files[i];
    if (Sys().Fstat(fds_[i].get(), &opened) != 0 || !IsSame(file, opened)) throw Changed(file.path);
    if (Sys().Stat(file.path.c_str(), &named) != 0 || !IsSame(file, named)) throw Changed(file.path);
  }
}

}  // namespace gpumerge
