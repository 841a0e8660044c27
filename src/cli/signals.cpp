// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// All that a handler does is async-signal-safe; its messages are made before.
#include "src/cli/signals.h"

#include "src/cli/json_text.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <poll.h>
#include <string>
#include <unistd.h>

namespace gpumerge::cli {
namespace {

// Leaves time for the process's end within two seconds.
constexpr timespec kGrace{1, 500'000'000};

struct StopMessage {
  int signal;
  const char* name;
  std::array<char, 512> text;
  size_t size_bytes;
};
std::array<StopMessage, 3> stop_messages{
    {{SIGINT, "SIGINT", {}, 0}, {SIGTERM, "SIGTERM", {}, 0}, {SIGHUP, "SIGHUP", {}, 0}}};

volatile std::sig_atomic_t stop_signal = 0;
timer_t grace_timer;
volatile std::sig_atomic_t has_timer = 0;

void OnStopSignal(int signal) {
  if (stop_signal != 0) ::_exit(128 + signal);
  const int error_number = errno;  // of what was interrupted
  stop_signal = signal;
  const itimerspec once{{}, kGrace};
  if (has_timer != 0) ::timer_settime(grace_timer, 0, &once, nullptr);
  errno = error_number;
}

void OnGraceEnd(int) {
  // A full pipe would keep the process: it ends without a word then. What fits into 512 bytes fits at once.
  pollfd standard_error{STDERR_FILENO, POLLOUT, 0};
  const bool has_room = ::poll(&standard_error, 1, 0) == 1 && (standard_error.revents & POLLOUT) != 0;
  for (const StopMessage& message : stop_messages)
    if (has_room && message.signal == stop_signal &&
        ::write(STDERR_FILENO, message.text.data(), message.size_bytes) < 0)
      break;
  ::_exit(128 + stop_signal);
}

void MakeMessages(ErrorFormat format) {
  for (StopMessage& message : stop_messages) {
    const int status = 128 + message.signal;
    const Diagnostic diagnostic{.code = ErrorCode::kCancelled,
                                .message = fmt::format("ended by {} before the work had stopped", message.name),
                                .help = "run the same command again; what was finished is kept"};
    const std::string text = format == ErrorFormat::kJson
                                 ? DiagnosticAsJson(diagnostic, "error", status) + "\n"
                                 : fmt::format("\ngpumerge: error[{}]: {}\n  help:  {}\n  exit:  {}\n",
                                               Info(diagnostic.code).code, diagnostic.message, diagnostic.help, status);
    message.size_bytes = text.copy(message.text.data(), message.text.size());
  }
}

bool Handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  return ::sigaction(signal, &action, nullptr) == 0;
}

}  // namespace

void IgnoreWriteSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void CatchStopSignals(ErrorFormat format) {
  MakeMessages(format);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  if (has_timer == 0 && Handle(SIGALRM, OnGraceEnd) && ::timer_create(CLOCK_MONOTONIC, &event, &grace_timer) == 0)
    has_timer = 1;
  for (const StopMessage& message : stop_messages) {
    struct sigaction before {};
    // nohup ignores SIGHUP, and shells ignore SIGINT for background jobs: leave that as it is.
    if (::sigaction(message.signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
      Handle(message.signal, OnStopSignal);
  }
}

int StopSignal() { return stop_signal; }

}  // namespace gpumerge::cli
