// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How far a merge is: one line that is redrawn on a terminal, a line every few seconds in a log, nothing when quiet.
#pragma once

#include "src/cli/messages.h"

#include "gpumerge/options.h"

#include <cstddef>
#include <string>

namespace gpumerge::cli {

// "0:07", "12:34", "3:05:09".
std::string FormatDuration(double seconds);
// "1.25 GB/s"; "-" when nothing was measured.
std::string FormatRate(uint64_t bytes, double seconds);
// What was read, computed and written, each at the speed it had while busy, e.g. "read 2.31 GB/s, compute ...".
std::string FormatRates(const Progress& progress);
// The line, without bar or clock of the day; the least important parts are left out to fit in `columns`.
std::string FormatProgress(const Progress& progress, size_t columns);

class ProgressPrinter {
 public:
  explicit ProgressPrinter(Messages* messages);
  void Update(const Progress& progress);

 private:
  Messages* messages_;
  bool is_terminal_;
  bool resuming_is_said_ = false;
  double last_line_at_seconds_ = 0;
};

}  // namespace gpumerge::cli
