// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The only file of this folder that sees the JSON library: plan, model summary and index as JSON text. Keys are stable.
#include "src/plan/explain.h"
#include "src/plan/inspect.h"
#include "src/plan/shards.h"

#include "gpumerge/method.h"

#include <nlohmann/json.hpp>

namespace gpumerge {
namespace {

using Json = nlohmann::ordered_json;

// Names that are not valid UTF-8 cannot occur in headers; paths can have any bytes.
std::string Dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

template <class T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json DiagnosticJson(const Diagnostic& diagnostic) {
  Json json{{"code", Info(diagnostic.code).code}, {"message", diagnostic.message}};
  if (!diagnostic.where.empty()) json["where"] = diagnostic.where;
  if (!diagnostic.found.empty()) json["found"] = diagnostic.found;
  if (!diagnostic.expected.empty()) json["expected"] = diagnostic.expected;
  if (!diagnostic.help.empty()) json["help"] = diagnostic.help;
  return json;
}

Json ParamValue(const ParamSpec& spec, double value) {
  if (IsNumber(spec.type)) return value;
  if (spec.type == ParamType::kBool) return value != 0;
  return ParamText(spec, value);
}

// Shared parameters have one value, others a list: one value an input, null for the base where it has none.
Json ParamsJson(const MergeJob& job) {
  Json json = Json::object();
  const MethodInfo& method = *Methods()[job.method].info;
  for (size_t p = 0; p < method.params.size(); ++p) {
    const ParamSpec& spec = method.params[p];
    if (spec.effect == ParamEffect::kNone) continue;
    Json& value = json[std::string(spec.name)];
    if (spec.scope == ParamScope::kShared) {
      value = ParamValue(spec, job.params[p].values[0]);
      continue;
    }
    value = Json::array();
    for (size_t i = 0; i < job.params[p].values.size(); ++i) {
      const bool is_base = spec.scope == ParamScope::kPerModel && job.has_base && i == 0;
      value.push_back(is_base ? Json(nullptr) : ParamValue(spec, job.params[p].values[i]));
    }
  }
  return json;
}

Json PassesJson(const PassList& passes) {
  Json json = Json::array();
  for (const PassInfo& pass : passes) {
    json.push_back({{"kind", PassName(pass.kind)}, {"values", pass.n_values}, {"reads", ReadsOf(pass.kind)}});
  }
  return json;
}

Json ItemJson(const Plan& plan, const PlanItem& item) {
  Json inputs = Json::array();
  for (size_t i = 0; i < item.inputs.size(); ++i) {
    const PlanInput& input = item.inputs[i];
    inputs.push_back({{"model", input.model},
                      {"file", input.item ? Json(nullptr) : Json(input.file)},
                      {"item", OrNull(input.item)},
                      {"tensor", input.tensor},
                      {"dtype", Info(item.job.inputs[i].dtype).name},
                      {"offset", input.offset_bytes},
                      {"bytes", input.size_bytes}});
  }
  Json json{{"name", item.name},
            {"shape", item.job.shape},
            {"dtype", Info(item.job.out_dtype).name},
            {"layer", OrNull(item.layer)},
            {"stage", item.stage ? Json(plan.stages[*item.stage].name) : Json(nullptr)},
            {"file", item.stage ? Json(nullptr) : Json(plan.shards[item.shard].file_name)},
            {"offset", item.offset_bytes},
            {"bytes", item.size_bytes}};
  if (item.action == PlanAction::kCopy) {
    json["action"] = "copy";
    json["reason"] = item.reason;
  } else {
    json["action"] = "merge";
    json["method"] = Methods()[item.job.method].info->name;
    json["parameters"] = ParamsJson(item.job);
    json["passes"] = PassesJson(item.passes);
  }
  if (!item.remark.empty()) json["remark"] = item.remark;
  json["inputs"] = std::move(inputs);
  return json;
}

Json TotalsJson(const Plan& plan) {
  const PlanTotals totals = Totals(plan);
  const PassTotals passes = CountPasses(plan);
  return {{"tensors", totals.n_tensors},
          {"merged", totals.n_merged},
          {"copied", totals.n_copied},
          {"stage_tensors", totals.n_stage_tensors},
          {"stage_bytes", totals.stage_bytes},
          {"parameters", totals.n_params},
          {"input_bytes", totals.input_bytes},
          {"output_bytes", totals.output_bytes},
          {"disk_bytes", totals.disk_bytes},
          {"largest_group_bytes", totals.largest_group_bytes},
          {"passes", passes.n_passes},
          {"select_passes", passes.n_select},
          {"reduce_passes", passes.n_reduce},
          {"map_passes", passes.n_map},
          {"bytes_read_streamed", passes.bytes_read_streamed}};
}

Json EstimateJson(const RunEstimate& estimate) {
  return {{"device", estimate.device},
          {"device_why", estimate.device_why},
          {"memory_budget_bytes", estimate.memory_budget_bytes},
          {"memory_needed_bytes", estimate.memory_needed_bytes},
          {"streamed_tensors", estimate.n_streamed_tensors},
          {"streams_from_cache", estimate.streams_from_cache},
          {"bytes_read", estimate.bytes_read},
          {"bytes_read_again", estimate.bytes_read_again},
          {"trim_passes", estimate.n_trim_passes},
          {"trim_bytes", estimate.trim_bytes},
          {"disk_free_bytes", estimate.disk_free_bytes},
          {"scratch_bytes", estimate.scratch_bytes},
          {"device_memory_bytes", estimate.device_memory_bytes},
          {"device_memory_needed_bytes", estimate.device_memory_needed_bytes},
          {"kept_tensors", estimate.n_kept_tensors},
          {"bytes_to_device", estimate.bytes_to_device},
          {"bytes_from_device", estimate.bytes_from_device}};
}

Json CostJson(const PlanCost& cost) {
  Json stages = Json::array();
  for (const StageCost& stage : cost.stages)
    stages.push_back({{"stage", stage.stage},
                      {"bytes", stage.bytes},
                      {"bytes_per_second", stage.bytes_per_second},
                      {"seconds", stage.seconds}});
  return {{"seconds", cost.seconds()},
          {"binds", cost.stages[cost.slowest].stage},
          {"assumption", cost.assumption.empty() ? Json(nullptr) : Json(cost.assumption)},
          {"stages", std::move(stages)}};
}

Json ModelsJson(const Plan& plan) {
  Json json = Json::array();
  for (uint32_t i = 0; i < plan.models.size(); ++i) {
    const PlanModel& model = plan.models[i];
    json.push_back({{"reference", model.reference},
                    {"name", model.name},
                    {"directory", model.directory},
                    {"how", model.how},
                    {"hub", model.is_hub},
                    {"stage", model.stage ? Json(plan.stages[*model.stage].name) : Json(nullptr)},
                    {"base", plan.base == i},
                    {"donor", plan.donor == i}});
  }
  return json;
}

Json StagesJson(const Plan& plan) {
  Json json = Json::array();
  for (const PlanStage& stage : plan.stages)
    json.push_back({{"name", stage.name}, {"method", stage.method}, {"seed", stage.seed}, {"models", stage.models}});
  return json;
}

}  // namespace

std::string PlanToJson(const Plan& plan, const RunEstimate& estimate, const std::optional<PlanCost>& cost) {
  Json json{{"method", plan.method}, {"seed", plan.seed}, {"plan_hash", PlanHash(plan)}};
  json["output"] = {{"directory", plan.output_dir}, {"why", plan.output_dir_why}};
  json["models"] = ModelsJson(plan);
  json["stages"] = StagesJson(plan);
  json["totals"] = TotalsJson(plan);
  json["run"] = EstimateJson(estimate);
  if (cost) json["cost"] = CostJson(*cost);
  json["input_files"] = Json::array();
  for (const PlanFile& file : plan.files)
    json["input_files"].push_back({{"path", file.path}, {"model", file.model}, {"bytes", file.identity.size_bytes}});
  json["output_files"] = Json::array();
  for (const PlanShard& shard : plan.shards)
    json["output_files"].push_back({{"name", shard.file_name}, {"kind", "tensors"}, {"bytes", shard.size_bytes}});
  for (const PlanTextFile& file : plan.text_files)
    json["output_files"].push_back({{"name", file.file_name}, {"kind", "text"}, {"bytes", file.contents.size()}});
  for (const PlanCopiedFile& file : plan.copied_files)
    json["output_files"].push_back({{"name", file.file_name}, {"kind", "copy"}, {"source", file.source_path}});
  json["warnings"] = Json::array();
  for (const Diagnostic& warning : plan.warnings) json["warnings"].push_back(DiagnosticJson(warning));
  json["notes"] = plan.notes;
  json["tensors"] = Json::array();
  for (const PlanItem& item : plan.items) json["tensors"].push_back(ItemJson(plan, item));
  return Dump(json);
}

std::string SummaryToJson(const ModelSummary& summary) {
  const ModelFiles& files = summary.files;
  Json json{{"reference", summary.reference},
            {"name", files.location.name},
            {"directory", files.location.directory},
            {"how", files.location.how},
            {"hub", files.location.is_hub},
            {"config", files.config_json.has_value()},
            {"model_type", summary.model_type.empty() ? Json(nullptr) : Json(summary.model_type)},
            {"parameters", summary.n_params},
            {"tensor_bytes", summary.tensor_bytes},
            {"layer_prefix", summary.layer_prefix.empty() ? Json(nullptr) : Json(summary.layer_prefix)},
            {"layers", summary.n_layers},
            {"embedding", summary.embedding.empty() ? Json(nullptr) : Json(summary.embedding)},
            {"embedding_rows", OrNull(summary.embedding_rows)},
            {"vocab_size", OrNull(summary.vocab_size)},
            {"head", summary.head.empty() ? Json(nullptr) : Json(summary.head)},
            {"tie_word_embeddings", OrNull(summary.tied)}};
  json["types"] = Json::object();
  for (const auto& [dtype, count] : summary.types) {
    json["types"][std::string(Info(dtype).name)] = {
        {"tensors", count.n_tensors}, {"parameters", count.n_params}, {"bytes", count.size_bytes}};
  }
  json["files"] = Json::array();
  for (const WeightFile& file : files.files) {
    Json metadata = Json::object();
    for (const auto& [key, value] : file.metadata) metadata[key] = value;
    json["files"].push_back(
        {{"path", file.path}, {"bytes", file.identity.size_bytes}, {"metadata", std::move(metadata)}});
  }
  json["tensors"] = Json::array();
  for (const ModelTensor& tensor : files.tensors) {
    json["tensors"].push_back({{"name", tensor.name},
                               {"dtype", Info(tensor.dtype).name},
                               {"shape", tensor.shape},
                               {"file", tensor.file},
                               {"offset", tensor.offset_bytes},
                               {"bytes", tensor.size_bytes}});
  }
  json["warnings"] = Json::array();
  for (const Diagnostic& warning : files.warnings) json["warnings"].push_back(DiagnosticJson(warning));
  return Dump(json);
}

std::string MakeIndexJson(const Plan& plan) {
  std::vector<std::pair<std::string_view, std::string_view>> places;
  for (const PlanItem& item : plan.items)
    if (!item.stage) places.emplace_back(item.name, plan.shards[item.shard].file_name);
  std::sort(places.begin(), places.end());
  Json json{{"metadata", {{"total_size", Totals(plan).output_bytes}}}, {"weight_map", Json::object()}};
  auto& weight_map = json["weight_map"].get_ref<Json::object_t&>();
  // Not by key: an ordered object would search itself for each.
  for (const auto& [name, file_name] : places) weight_map.emplace_back(std::string(name), std::string(file_name));
  return Dump(json);
}

}  // namespace gpumerge
