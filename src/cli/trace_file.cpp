// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cli/trace_file.h"

#include "src/base/trace_log.h"
#include "src/cli/json_text.h"
#include "src/cli/terminal.h"
#include "src/io/output_dir.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <string_view>
#include <unistd.h>

namespace gpumerge::cli {
namespace {

// Times are in microseconds.
std::string EventText(const TraceEvent& event, int process) {
  const TraceSubject& subject = event.subject;
  std::string args;
  const auto add = [&](std::string_view key, const auto& value) {
    args += fmt::format("{}\"{}\":{}", args.empty() ? "" : ",", key, value);
  };
  if (!subject.tensor.empty()) add("tensor", TextAsJson(subject.tensor));
  if (subject.n_tensors > 1) add("tensors", subject.n_tensors);
  if (subject.reading > 0) add("reading", subject.reading);
  if (subject.bytes > 0) add("bytes", subject.bytes);
  return fmt::format(
      "{{\"ph\":\"X\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"ts\":{}.{:03},\"dur\":{}.{:03},\"args\":{{{}}}}}",
      event.name, process, event.thread, event.start_ns / 1000, event.start_ns % 1000, event.duration_ns / 1000,
      event.duration_ns % 1000, args);
}

// What a viewer shows beside the rows, as metadata: names of threads, the process's label.
std::string MetadataText(std::string_view name, int process, uint32_t thread, std::string_view key,
                         std::string_view value) {
  return fmt::format("{{\"ph\":\"M\",\"name\":\"{}\",\"pid\":{},\"tid\":{},\"args\":{{\"{}\":\"{}\"}}}}", name, process,
                     thread, key, value);
}

}  // namespace

TraceFile::TraceFile(const std::string& path, Messages* messages) : file_(path, "trace file"), messages_(messages) {
  if (!file_.is_wanted()) return;
  TraceLog::Get().Start();
  TraceLog::Get().NameThread("main", 0);
}

TraceFile::~TraceFile() {
  if (!file_.is_wanted() || is_written_) return;
  try {
    WriteLog();
  } catch (const Error& error) {
    messages_->Warning(error.diagnostics().front());
  } catch (const std::exception&) {  // no memory: the error that ended the run is the one to tell
  }
}

void TraceFile::Write() {
  if (!file_.is_wanted()) return;
  try {
    WriteLog();
  } catch (const std::bad_alloc&) {
    WriteStderr("gpumerge: the output is complete; there is no memory to write the trace\n");
  } catch (const Error& error) {
    throw ButIsComplete(error);
  }
}

void TraceFile::WriteLog() {
  is_written_ = true;  // or never will be
  TraceLog& log = TraceLog::Get();
  log.Stop();
  const int process = ::getpid();
  file_.Write(
      fmt::format("{{\"displayTimeUnit\":\"ms\",\"otherData\":{{\"gpumerge\":\"{}\",\"dropped_events\":{}}},\n"
                  "\"traceEvents\":[\n",
                  GPUMERGE_VERSION, log.n_dropped()));
  std::string label = "gpumerge";
  if (log.n_dropped() > 0) {
    label = fmt::format("gpumerge: the trace was full, {} later events are not in it", log.n_dropped());
    messages_->Note(label.substr(label.find(' ') + 1));
  }
  file_.Write(MetadataText("process_name", process, 0, "name", label));
  log.ForEachThread([&](uint32_t thread, const char* role, uint32_t number) {
    file_.Write(",\n" + MetadataText("thread_name", process, thread, "name", fmt::format("{} {}", role, number)));
  });
  log.ForEachEvent([&](const TraceEvent& event) { file_.Write(",\n" + EventText(event, process)); });
  file_.Write("\n]}\n");
  file_.Close();
}

}  // namespace gpumerge::cli
