// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/input_files.h"

#include "src/base/file_identity.h"

#include "gpumerge/error.h"

#include <cerrno>
#include <optional>
#include <sys/resource.h>

namespace gpumerge {

void AllowManyFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

InputFiles::InputFiles(const Plan& plan, const Scratch* scratch) : plan_(plan), scratch_(scratch) {
  for (const PlanFile& file : plan.files) {
    fds_.push_back(OpenRegular(file.path));
    CheckOpenUnchanged(fds_.back().get(), file.path, file.identity);
  }
}

void InputFiles::Read(const PlanInput& input, uint64_t offset_bytes, void* to, uint64_t size_bytes) const {
  if (input.item) return scratch_->Read(input.offset_bytes + offset_bytes, to, size_bytes);
  ReadFully(fds_[input.file].get(), input.offset_bytes + offset_bytes, to, size_bytes, plan_.files[input.file].path);
}

void InputFiles::CheckUnchanged() const {
  for (size_t i = 0; i < fds_.size(); ++i) {
    const PlanFile& file = plan_.files[i];
    CheckOpenUnchanged(fds_[i].get(), file.path, file.identity);
    const std::optional<FileIdentity> now = IdentifyFile(file.path);
    if (!now && errno != ENOENT)
      throw Error({.code = ErrorCode::kInIo,
                   .message = "cannot look at the input again: " + ErrnoText(errno),
                   .where = file.path,
                   .help = "check the disk or network file system; the kernel log may say more"});
    if (now != file.identity) throw FileChanged(file.path);
  }
}

}  // namespace gpumerge
