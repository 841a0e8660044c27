// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cli/side_file.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace gpumerge::cli {

SideFile::SideFile(std::string path, std::string_view kind)
    : path_(std::move(path)), kind_(kind), file_(nullptr, &std::fclose) {
  if (!is_wanted()) return;
  file_.reset(std::fopen(path_.c_str(), "we"));
  if (!file_) Fail();
}

void SideFile::Write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) Fail();
}

void SideFile::Close() {
  if (std::fclose(file_.release()) != 0) Fail();
}

void SideFile::Fail() const {
  throw Error({ErrorCode::kOutIo, fmt::format("the {} {} cannot be written", kind_, path_), path_, std::strerror(errno),
               "", ""});
}

}  // namespace gpumerge::cli
