// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cli/signals.h"

#include <csignal>
#include <initializer_list>
#include <unistd.h>

namespace gpumerge::cli {
namespace {

volatile std::sig_atomic_t stop_signal = 0;

void OnStopSignal(int signal) {
  // Nothing is half visible at any moment, so leaving at once is safe; the staging directory stays behind.
  if (stop_signal != 0) ::_exit(128 + signal);
  stop_signal = signal;
}

}  // namespace

void IgnoreWriteSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void CatchStopSignals() {
  struct sigaction action {};
  action.sa_handler = OnStopSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    // nohup ignores SIGHUP, and shells ignore SIGINT for background jobs: leave that as it is.
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
      ::sigaction(signal, &action, nullptr);
  }
}

int StopSignal() { return stop_signal; }

}  // namespace gpumerge::cli
