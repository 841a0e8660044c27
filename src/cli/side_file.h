// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A file that a merge writes beside its output: what it measured (--stats), what its threads did (--trace). Opened
// before the merge, because one that cannot say what was asked of it should not run for an hour first. Not thread-safe.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace gpumerge::cli {

class SideFile {
 public:
  // path "": none is wanted. kind: what messages call it. Every function throws Error(OUT-IO) when it fails.
  SideFile(std::string path, std::string_view kind);

  bool is_wanted() const { return !path_.empty(); }
  void Write(std::string_view text);
  // What was written is there only after this.
  void Close();

 private:
  [[noreturn]] void Fail() const;

  std::string path_;
  std::string_view kind_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

}  // namespace gpumerge::cli
