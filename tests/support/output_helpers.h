// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A small output directory, and what is in a directory. Header-only.
#pragma once

#include "src/io/output_dir.h"

#include "gpumerge/error.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace gpumerge::test {

inline std::vector<std::string> Names(const std::string& dir) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

inline Diagnostic RefusalOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.diagnostics().front();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

inline void WriteSmallOutput(OutputDir* out) {
  const int handle = out->CreateSized("model.safetensors", 6);
  out->WriteAt(handle, 3, "def", 3);
  out->WriteAt(handle, 0, "abc", 3);
  out->WriteFile("config.json", "{}");
  out->WriteFile(kMergeReportFile, "{}");
}

inline void Publish(const std::string& target, bool overwrite, Sync sync = Sync::kNone) {
  OutputDir out(target, overwrite, sync);
  WriteSmallOutput(&out);
  out.Publish();
}

}  // namespace gpumerge::test
