// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/report.h"

#include "src/base/hash.h"
#include "src/base/text.h"
#include "src/plan/output_files.h"
#include "src/run/rounding.h"
#include "src/run/value_warnings.h"

#include "gpumerge/method.h"

#include <nlohmann/json.hpp>

#include <map>
#include <optional>
#include <utility>

namespace gpumerge {
namespace {

// Always made as an object or a list at once: a null that becomes one by its first entry is broken when that entry
// finds no memory (nlohmann-json 3.11).
using Json = nlohmann::ordered_json;

// Only the parameters that the method uses; a list has one value a model, the base left out where it has none.
Json Params(const MergeJob& job) {
  Json params = Json::object();
  const MethodInfo& info = *Methods()[job.method].info;
  for (size_t p = 0; p < info.params.size(); ++p) {
    const ParamSpec& spec = info.params[p];
    if (spec.effect == ParamEffect::kNone) continue;
    const auto value = [&](double number) -> Json {
      if (spec.type == ParamType::kBool) return number != 0;
      if (spec.type == ParamType::kChoice) return spec.choices[static_cast<size_t>(number)];
      return number;
    };
    const std::vector<double>& values = job.params[p].values;
    if (spec.scope == ParamScope::kShared) {
      params[std::string(spec.name)] = value(values.front());
      continue;
    }
    Json list = Json::array();
    for (size_t i = spec.scope == ParamScope::kPerModel && job.has_base ? 1 : 0; i < values.size(); ++i)
      list.push_back(value(values[i]));
    params[std::string(spec.name)] = std::move(list);
  }
  return params;
}

// Warnings speak of models as the recipe does, often by path; the report calls them by name.
// Only where one stands in quotes or begins a quoted path: a reference such as "." or "m" occurs in many a word.
std::string WithoutPaths(const Plan& plan, std::string message) {
  for (const PlanModel& model : plan.models) {
    for (const std::string& place : {model.directory, model.reference}) {
      const std::string path = EscapeForTerminal(place);
      if (path.empty() || path == model.name) continue;
      for (size_t at = message.find(path, 1); at != std::string::npos; at = message.find(path, at + 1)) {
        const char end = at + path.size() < message.size() ? message[at + path.size()] : ' ';
        const bool is_path = end == '"' || (end == '/' && path.starts_with('/'));
        if (message[at - 1] == '"' && is_path) message.replace(at, path.size(), EscapeForTerminal(model.name));
      }
    }
  }
  return message;
}

Json Tensor(const Plan& plan, const PlanItem& item, const ItemResult& result) {
  Json tensor = Json::object();
  tensor["name"] = item.name;
  if (item.stage) tensor["stage"] = plan.stages[*item.stage].name;
  tensor["dtype"] = Info(item.job.out_dtype).name;
  tensor["shape"] = item.job.shape;
  tensor["action"] = item.action == PlanAction::kMerge ? "merge" : "copy";
  if (item.action == PlanAction::kMerge) tensor["params"] = Params(item.job);
  if (!item.reason.empty()) tensor["reason"] = item.reason;
  if (!item.remark.empty()) tensor["remark"] = item.remark;
  if (result.n_overflowed > 0)
    tensor[item.overflow == OverflowPolicy::kSaturate ? "saturated" : "infinite"] = result.n_overflowed;
  if (!result.n_nonfinite.empty()) tensor["nonfinite_inputs"] = result.n_nonfinite;
  if (result.n_differing > 0) tensor["differing_inputs"] = result.n_differing;
  if (result.used_lerp) tensor["lerp"] = true;
  if (const std::optional<double> share = RoundingShare(result.loss)) tensor["rounding_loss"] = *share;
  Json inputs = Json::array();
  for (size_t i = 0; i < item.inputs.size(); ++i)
    inputs.push_back(Json{{"model", item.inputs[i].model},
                          {"tensor", item.inputs[i].tensor},
                          {"dtype", Info(item.job.inputs[i].dtype).name},
                          {"xxh3_128", result.input_hashes[i]}});
  tensor["inputs"] = std::move(inputs);
  tensor["xxh3_128"] = result.output_hash;
  return tensor;
}

// A line a tensor, of the output or of what its stages passed on.
std::string TensorList(const Plan& plan, const std::vector<ItemResult>& results, bool of_stages) {
  std::string text;
  for (size_t i = 0; i < plan.items.size(); ++i) {
    if (plan.items[i].stage.has_value() != of_stages) continue;
    text += text.empty() ? "\n  " : ",\n  ";
    text += Tensor(plan, plan.items[i], results[i]).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return text;
}

// What is written besides tensors, with its hash. The card has none, because it is for its owner to edit, nor has the
// recipe: it has paths, and the report of one merge is the same wherever its models lie.
Json Files(const Plan& plan, const std::vector<std::string>& copied_hashes) {
  std::map<std::string, std::string> hashes;
  for (const PlanTextFile& file : plan.text_files) {
    const bool is_free = file.file_name == kModelCardFile || file.file_name == kRecipeFile;
    hashes[file.file_name] = is_free ? "" : HashText(file.contents);
  }
  for (size_t i = 0; i < copied_hashes.size(); ++i) hashes[plan.copied_files[i].file_name] = copied_hashes[i];
  Json files = Json::array();
  for (const auto& [name, hash] : hashes) {
    files.push_back(Json{{"name", name}});
    if (!hash.empty()) files.back()["xxh3_128"] = hash;
  }
  for (const PlanShard& shard : plan.shards)
    files.push_back(Json{{"name", shard.file_name}, {"header_xxh3_128", HashText(shard.header)}});
  return files;
}

}  // namespace

std::string MakeReport(const Plan& plan, const std::vector<ItemResult>& results,
                       const std::vector<std::string>& copied_hashes) {
  Json report = Json::object();
  report["gpumerge"] = GPUMERGE_VERSION;
  report["method"] = plan.method;
  report["seed"] = plan.seed;
  report["plan_xxh3_128"] = PlanHash(plan);
  Json models = Json::array();
  for (uint32_t m = 0; m < plan.models.size(); ++m) {
    models.push_back(Json{{"name", plan.models[m].name}, {"base", plan.base == m}, {"donor", plan.donor == m}});
    if (plan.models[m].stage) models.back()["stage"] = true;
  }
  report["models"] = std::move(models);
  if (!plan.stages.empty()) report["stages"] = Json::array();
  for (const PlanStage& stage : plan.stages)
    report["stages"].push_back(
        Json{{"name", stage.name}, {"method", stage.method}, {"seed", stage.seed}, {"models", stage.models}});
  const RoundingLoss loss = TotalLoss(plan, results);
  if (const std::optional<double> share = RoundingShare(loss)) report["rounding_loss"] = *share;
  std::vector<Diagnostic> all_warnings = plan.warnings;
  if (std::optional<Diagnostic> warning = RoundingWarning(loss)) all_warnings.push_back(std::move(*warning));
  for (Diagnostic& warning : ValueWarnings(plan, results)) all_warnings.push_back(std::move(warning));
  Json warnings = Json::array();
  for (const Diagnostic& warning : all_warnings)
    warnings.push_back(Json{{"code", Info(warning.code).code}, {"message", WithoutPaths(plan, warning.message)}});
  report["warnings"] = std::move(warnings);
  if (!plan.dropped.empty()) report["dropped"] = Json::array();
  for (const PlanDropped& dropped : plan.dropped)
    report["dropped"].push_back(Json{{"tensor", dropped.tensor}, {"model", dropped.model}});
  report["files"] = Files(plan, copied_hashes);
  report["tensors"] = Json::array();
  // Tensor by tensor, because a tree of all of them would be many times the text. Names are untrusted text, but valid
  // UTF-8 by the header's rules; anything else is replaced rather than thrown over.
  std::string text = report.dump(1, ' ', false, Json::error_handler_t::replace);
  text.resize(text.rfind(']'));
  text += TensorList(plan, results, false) + "\n ]";
  if (!plan.stages.empty()) text += ",\n \"stage_tensors\": [" + TensorList(plan, results, true) + "\n ]";
  return text + "\n}\n";
}

}  // namespace gpumerge
