// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cli/json_text.h"

#include <nlohmann/json.hpp>

namespace gpumerge::cli {
namespace {

using Json = nlohmann::ordered_json;

// Keys stay in order; anything outside ASCII, and what is not UTF-8 at all, is written as \u escapes.
std::string Dump(const Json& json, int indent) { return json.dump(indent, ' ', true, Json::error_handler_t::replace); }

}  // namespace

std::string DiagnosticAsJson(const Diagnostic& diagnostic, std::string_view severity, int exit_status) {
  Json json{{"severity", severity}, {"code", Info(diagnostic.code).code}, {"message", diagnostic.message}};
  if (!diagnostic.where.empty()) json["file"] = diagnostic.where;
  if (!diagnostic.found.empty()) json["found"] = diagnostic.found;
  if (!diagnostic.expected.empty()) json["expected"] = diagnostic.expected;
  if (!diagnostic.help.empty()) json["help"] = diagnostic.help;
  if (exit_status != 0) json["exit"] = exit_status;
  return Dump(json, -1);
}

std::string StatsAsJson(const RunStats& stats) {
  const Progress& totals = stats.totals;
  const Json json{{"output_dir", stats.output_dir},
                  {"device", stats.device},
                  {"tensors", totals.tensors_done},
                  {"bytes_read", totals.bytes_read},
                  {"bytes_written", totals.bytes_written},
                  {"elements_computed", totals.elems_computed},
                  {"elapsed_seconds", totals.elapsed_seconds},
                  {"read_busy_seconds", totals.read_seconds},
                  {"compute_busy_seconds", totals.compute_seconds},
                  {"write_busy_seconds", totals.write_seconds},
                  {"memory_budget_bytes", stats.memory_budget_bytes},
                  {"peak_memory_bytes", stats.peak_memory_bytes},
                  {"slerp_tensors", stats.slerp_tensors},
                  {"slerp_lerp_tensors", stats.slerp_lerp_tensors}};
  return Dump(json, 2) + "\n";
}

}  // namespace gpumerge::cli
