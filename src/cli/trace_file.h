// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The file of --trace: what each thread did when, as ui.perfetto.dev and chrome://tracing read it (the Trace Event
// Format, JSON). The log is on while this exists. Not thread-safe.
#pragma once

#include "src/cli/messages.h"
#include "src/cli/side_file.h"

#include <string>

namespace gpumerge::cli {

class TraceFile {
 public:
  // path "": none is wanted. Throws Error(OUT-IO).
  TraceFile(const std::string& path, Messages* messages);
  // Of a merge that failed, and so did not get to Write, the file is written here; if that fails too, it is a warning.
  ~TraceFile();
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  // After the merge: throws Error(OUT-IO) that says that its output is complete.
  void Write();

 private:
  void WriteLog();

  SideFile file_;
  Messages* messages_;
  bool is_written_ = false;
};

}  // namespace gpumerge::cli
