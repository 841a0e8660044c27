// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cli/progress.h"

#include "src/base/text.h"
#include "src/cli/terminal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace gpumerge::cli {
namespace {

constexpr double kSecondsBetweenLogLines = 5;
constexpr size_t kBarColumns = 20;

std::string PhaseText(const Progress& progress) {
  const bool is_before = progress.phase == Progress::Phase::kResuming;
  return fmt::format("{} {} of {}", is_before ? "checking what is finished:" : "verifying the output:",
                     FormatBytes(progress.bytes_checked), FormatBytes(progress.bytes_to_check));
}

// Reading and writing overlap, so the share done is that of both together.
double ShareDone(const Progress& progress) {
  const uint64_t total = progress.bytes_to_read + progress.bytes_to_write;
  if (total == 0) return 1;
  return std::min(1.0, static_cast<double>(progress.bytes_read + progress.bytes_written) / static_cast<double>(total));
}

std::string TimeLeft(const Progress& progress) {
  const double share = ShareDone(progress);
  if (share < 0.01 || progress.elapsed_seconds < 1) return "? left";
  return FormatDuration(progress.elapsed_seconds * (1 - share) / share) + " left";
}

std::string Bar(double share) {
  const auto filled = static_cast<size_t>(share * static_cast<double>(kBarColumns));
  return "[" + std::string(filled, '#') + std::string(kBarColumns - filled, ' ') + "]";
}

}  // namespace

std::string FormatDuration(double seconds) {
  const auto whole = static_cast<uint64_t>(std::llround(std::max(0.0, seconds)));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string FormatRate(uint64_t bytes, double seconds) {
  if (bytes == 0 || seconds <= 0) return "-";
  return fmt::format("{:.2f} GB/s", static_cast<double>(bytes) / seconds / 1e9);
}

std::string FormatRates(const Progress& progress) {
  // What is computed on is what was read.
  return fmt::format("read {}, compute {}, write {}", FormatRate(progress.bytes_read, progress.read_seconds),
                     FormatRate(progress.bytes_read, progress.compute_seconds),
                     FormatRate(progress.bytes_written, progress.write_seconds));
}

std::string FormatProgress(const Progress& progress, size_t columns) {
  if (progress.phase != Progress::Phase::kMerging) return PhaseText(progress).substr(0, columns);
  // By importance: whatever no longer fits is left out.
  const std::array<std::string, 6> parts{
      fmt::format("{:3.0f} %", std::floor(ShareDone(progress) * 100)),
      TimeLeft(progress),
      fmt::format("{}/{} tensors{}", progress.tensors_done, progress.tensors_total,
                  progress.tensors_resumed == 0 ? "" : fmt::format(" ({} resumed)", progress.tensors_resumed)),
      fmt::format("{} of {}", FormatBytes(progress.bytes_read + progress.bytes_written),
                  FormatBytes(progress.bytes_to_read + progress.bytes_to_write)),
      FormatRates(progress),
      fmt::format("memory {}", FormatBytes(progress.memory_bytes)),
  };
  std::string line;
  for (const std::string& part : parts) {
    const size_t with_gap = part.size() + (line.empty() ? 0 : 2);
    if (line.size() + with_gap > columns) break;
    line += (line.empty() ? "" : "  ") + part;
  }
  return line;
}

ProgressPrinter::ProgressPrinter(Messages* messages) : messages_(messages), is_terminal_(StderrIsTerminal()) {}

void ProgressPrinter::Update(const Progress& progress) {
  if (progress.tensors_resumed > 0 && !resuming_is_said_) {
    resuming_is_said_ = true;
    messages_->Note(fmt::format("going on with an interrupted run: {} of {} tensors ({}) were finished",
                                progress.tensors_resumed, progress.tensors_total, FormatBytes(progress.bytes_resumed)));
  }
  if (is_terminal_) {
    // The last column stays free: some terminals wrap there.
    const size_t columns = std::max<size_t>(TerminalColumns(), 20) - 1;
    const std::string bar = Bar(ShareDone(progress)) + " ";
    const bool has_room = columns > 60 + bar.size() && progress.phase == Progress::Phase::kMerging;
    messages_->Redraw((has_room ? bar : "") + FormatProgress(progress, columns - (has_room ? bar.size() : 0)));
    return;
  }
  last_line_at_seconds_ = std::min(last_line_at_seconds_, progress.elapsed_seconds);  // phases have clocks of their own
  if (progress.elapsed_seconds - last_line_at_seconds_ < kSecondsBetweenLogLines) return;
  last_line_at_seconds_ = progress.elapsed_seconds;
  messages_->Note(FormatDuration(progress.elapsed_seconds) + "  " + FormatProgress(progress, 200));
}

}  // namespace gpumerge::cli
