// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cli/json_text.h"

#include <nlohmann/json.hpp>

#include <optional>
#include <utility>

namespace gpumerge::cli {
namespace {

using Json = nlohmann::ordered_json;

// Keys stay in order; anything outside ASCII, and what is not UTF-8 at all, is written as \u escapes.
std::string Dump(const Json& json, int indent) { return json.dump(indent, ' ', true, Json::error_handler_t::replace); }

Json DiagnosticJson(const Diagnostic& diagnostic) {
  Json json{{"code", Info(diagnostic.code).code}, {"message", diagnostic.message}};
  if (!diagnostic.where.empty()) json["file"] = diagnostic.where;
  if (!diagnostic.found.empty()) json["found"] = diagnostic.found;
  if (!diagnostic.expected.empty()) json["expected"] = diagnostic.expected;
  if (!diagnostic.help.empty()) json["help"] = diagnostic.help;
  return json;
}

Json OrNull(const std::optional<Diagnostic>& diagnostic) {
  return diagnostic ? DiagnosticJson(*diagnostic) : Json(nullptr);
}

Json OrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json GpuJson(const GpuInfo& gpu, const LinkResult& link) {
  Json json{{"index", gpu.index},
            {"name", gpu.name},
            {"compute_capability", OrNull(gpu.compute_capability)},
            {"pci_bus", OrNull(gpu.pci_bus)},
            {"memory_bytes", gpu.memory_bytes},
            {"free_bytes", gpu.free_bytes},
            {"problem", OrNull(gpu.problem)}};
  if (link.bandwidth)
    json["link"] = {{"to_device_bytes_per_second", link.bandwidth->to_device_bytes_per_second},
                    {"to_host_bytes_per_second", link.bandwidth->to_host_bytes_per_second}};
  if (link.problem) json["link"] = {{"problem", DiagnosticJson(*link.problem)}};
  return json;
}

}  // namespace

std::string TextAsJson(std::string_view text) { return Dump(Json(text), -1); }

std::string DiagnosticAsJson(const Diagnostic& diagnostic, std::string_view severity, int exit_status) {
  Json json{{"severity", severity}};
  json.update(DiagnosticJson(diagnostic));
  if (exit_status != 0) json["exit"] = exit_status;
  return Dump(json, -1);
}

std::string VerifiedAsJson(const VerifyResult& result) {
  Json warnings = Json::array();
  for (const Diagnostic& warning : result.warnings) warnings.push_back(DiagnosticJson(warning));
  Json json{{"directory", result.directory},
            {"files", result.n_files},
            {"tensors", result.n_tensors},
            {"tensor_bytes", result.tensor_bytes}};
  json["report"] = nullptr;
  if (result.has_report)
    json["report"] = {{"gpumerge", result.version},
                      {"method", result.method},
                      {"hashes_equal", result.n_hashed},
                      {"files_equal", result.n_side_files}};
  json["inputs"] = nullptr;
  if (result.n_input_models > 0)
    json["inputs"] = {
        {"models", result.n_input_models}, {"tensors", result.n_input_tensors}, {"tensor_bytes", result.input_bytes}};
  json["warnings"] = std::move(warnings);
  return Dump(json, 2) + "\n";
}

std::string MachineAsJson(const Machine& machine) {
  const GpuSurvey& survey = machine.survey;
  Json gpus = Json::array();
  for (size_t i = 0; i < survey.gpus.size(); ++i) gpus.push_back(GpuJson(survey.gpus[i], machine.links[i]));
  const Json json{{"built_with_cuda", survey.built_with_cuda},
                  {"driver_version", OrNull(survey.driver_version)},
                  {"runtime_version", OrNull(survey.runtime_version)},
                  {"gpus", std::move(gpus)},
                  {"problem", OrNull(survey.problem)},
                  {"cpu",
                   {{"chosen", OrNull(machine.cpu.chosen)},
                    {"instruction_sets", machine.cpu.usable},
                    {"problem", OrNull(machine.cpu.problem)}}},
                  {"auto",
                   {{"device", OrNull(machine.choice.device)},
                    {"why", OrNull(machine.choice.why)},
                    {"problem", OrNull(machine.choice.problem)}}}};
  return Dump(json, 2) + "\n";
}

std::string StatsAsJson(const RunStats& stats) {
  const Progress& totals = stats.totals;
  Json warnings = Json::array();
  for (const Diagnostic& warning : stats.warnings) warnings.push_back(DiagnosticJson(warning));
  const Json json{{"output_dir", stats.output_dir},
                  {"device", stats.device},
                  {"tensors", totals.tensors_done},
                  {"tensors_resumed", totals.tensors_resumed},
                  {"bytes_resumed", totals.bytes_resumed},
                  {"bytes_read", totals.bytes_read},
                  {"bytes_written", totals.bytes_written},
                  {"elements_computed", totals.elems_computed},
                  {"elapsed_seconds", totals.elapsed_seconds},
                  {"read_busy_seconds", totals.read_seconds},
                  {"compute_busy_seconds", totals.compute_seconds},
                  {"write_busy_seconds", totals.write_seconds},
                  {"sync_seconds", stats.sync_seconds},
                  {"verify_seconds", stats.verify_seconds},
                  {"memory_budget_bytes", stats.memory_budget_bytes},
                  {"peak_memory_bytes", stats.peak_memory_bytes},
                  {"slerp_tensors", stats.slerp_tensors},
                  {"slerp_lerp_tensors", stats.slerp_lerp_tensors},
                  {"selfcheck_tensors", stats.selfcheck_tensors},
                  {"rounding_loss", stats.rounding_loss ? Json(*stats.rounding_loss) : Json(nullptr)},
                  {"warnings", std::move(warnings)}};
  return Dump(json, 2) + "\n";
}

}  // namespace gpumerge::cli
