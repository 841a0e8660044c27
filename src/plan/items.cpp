// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// From matched tensors to plan items. Problems that only resolved parameters show come from the method itself.
#include "src/plan/items.h"

#include "src/base/hash.h"
#include "src/config/filter.h"
#include "src/plan/compatibility.h"
#include "src/plan/params.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace gpumerge {
namespace {

class ItemMaker {
 public:
  ItemMaker(const MergeConfig& config, const InputSet& inputs, const MethodRow& method)
      : config_(config),
        inputs_(inputs),
        method_(method),
        method_index_(static_cast<uint32_t>(&method - Methods().data())),
        compatibility_(config, inputs),
        params_(config, inputs, *method.info) {}

  std::optional<PlanItem> Make(const TensorGroup& matched) {
    TensorGroup group = matched;
    if (std::optional<PlanItem> copy = MakeSettledCopy(&group)) return copy;
    StandIn(&group);
    if (!compatibility_.ShapesAgree(group) || !compatibility_.TypesAgree(group)) return std::nullopt;
    PlanItem item;
    item.name = group.name;
    if (group.place == GroupPlace::kLayer) item.layer = group.layer;
    item.remark = group.remark;
    item.overflow = config_.overflow;
    item.nonfinite = config_.nonfinite;
    const std::vector<uint32_t> order = InputOrder(group);
    FillInputs(group, order, &item);
    const DType input_type = group.inputs[0].tensor->dtype;
    if (Info(input_type).dtype_class == DTypeClass::kInteger) {
      MakeCopy(fmt::format("{} tensor: all models must agree", input_type == DType::kBool ? "bool" : "integer"), &item);
      return item;
    }
    if (group.is_lone) return TakeLone(group, std::move(item));
    item.job.method = method_index_;
    item.job.has_base = group.base.has_value();
    item.job.seed = config_.name.empty() ? config_.seed : config_.seed ^ NameHash(config_.name);
    item.job.name_hash = NameHash(group.name);
    std::optional<std::vector<JobParam>> params = params_.Resolve(group, order);
    if (!params) return std::nullopt;
    item.job.params = std::move(*params);
    return FinishMerge(method_, group, std::move(item));
  }

  // The only input as it is: a passthrough, so that the output's type holds here too.
  std::optional<PlanItem> TakeLone(const TensorGroup& group, PlanItem item) {
    const MethodRow& passthrough = *FindMethod("passthrough");
    item.job.method = static_cast<uint32_t>(&passthrough - Methods().data());
    item.job.seed = item.job.name_hash = 0;
    for (const ParamSpec& spec : passthrough.info->params)
      item.job.params.push_back({{spec.default_value.value_or(0)}});
    return FinishMerge(passthrough, group, std::move(item));
  }

  void NoteSource(const PlanItem& item) { compatibility_.NoteSource(item.inputs[0].model, item.name); }

  void Report(PlanFindings* findings) const {
    compatibility_.Report(findings);
    params_.Report(findings);
    for (const auto& [key, problem] : problems_) {
      Diagnostic diagnostic = problem.diagnostic;
      if (problem.n_tensors > 1) diagnostic.message += fmt::format(" (and {} more tensors)", problem.n_tensors - 1);
      findings->errors.push_back(std::move(diagnostic));
    }
  }

 private:
  // Which of the inputs is the base's, or where there is none the donor's, else the first.
  uint32_t IndexOfBase(const TensorGroup& group) const {
    if (group.base) return *group.base;
    for (const uint32_t model : {inputs_.base.value_or(inputs_.donor), inputs_.donor})
      for (uint32_t i = 0; i < group.inputs.size(); ++i)
        if (group.inputs[i].source->model == model) return i;
    return 0;
  }

  // Buffers, and with `int_policy: base` whole numbers: the base's bytes whatever the other models have.
  std::optional<PlanItem> MakeSettledCopy(TensorGroup* group) const {
    const auto is_integer = [](const GroupInput& input) {
      return Info(input.tensor->dtype).dtype_class == DTypeClass::kInteger;
    };
    const bool is_settled_integer = config_.int_policy == IntPolicy::kBase && group->inputs.size() > 1 &&
                                    std::all_of(group->inputs.begin(), group->inputs.end(), is_integer);
    if (!group->is_buffer && !is_settled_integer) return std::nullopt;
    const uint32_t base = IndexOfBase(*group);
    const ModelTensor& taken = *group->inputs[base].tensor;
    std::vector<uint32_t> order{base};
    bool has_others = false;  // of another type or shape, so that there are no bytes to compare
    for (uint32_t i = 0; i < group->inputs.size(); ++i) {
      const ModelTensor& tensor = *group->inputs[i].tensor;
      const bool is_alike = tensor.dtype == taken.dtype && tensor.shape == taken.shape;
      if (i != base && is_alike) order.push_back(i);
      has_others |= !is_alike;
    }
    PlanItem item;
    item.name = group->name;
    if (group->place == GroupPlace::kLayer) item.layer = group->layer;
    item.remark = group->remark;
    if (has_others)
      item.remark += (item.remark.empty() ? "" : "; ") + std::string("some models have it in another type or shape");
    FillInputs(*group, order, &item);
    MakeCopy(fmt::format("{}: the bytes of \"{}\"", group->is_buffer ? "buffer" : "int_policy: base",
                         inputs_.models[group->inputs[base].model].files.location.name),
             &item);
    item.may_differ = true;
    return item;
  }

  bool TakesBaseFor(const TensorGroup& group) const {
    for (const ConditionalValue& condition : config_.on_mismatch) {
      if (condition.filter && !FilterMatches(*condition.filter, group.name)) continue;
      return !condition.values.empty() && std::get<std::string>(condition.values[0].value) == "base";
    }
    return false;
  }

  // With `on_mismatch: base` for this tensor: the base's stands in where a model's has another shape.
  void StandIn(TensorGroup* group) const {
    if (!TakesBaseFor(*group)) return;
    std::optional<uint32_t> base = group->base;
    for (uint32_t i = 0; !base && i < group->inputs.size(); ++i)
      if (inputs_.base == group->inputs[i].source->model) base = i;
    if (!base) return;
    const GroupInput stand_in = group->inputs[*base];
    std::vector<std::string> names;
    for (GroupInput& input : group->inputs) {
      if (input.tensor->shape == stand_in.tensor->shape) continue;
      names.push_back(fmt::format("\"{}\"", inputs_.models[input.model].files.location.name));
      const SliceSource* source = input.source;
      input = stand_in;
      input.source = source;
    }
    if (names.empty()) return;
    group->remark += fmt::format("{}the base stands in for {}, whose shape differs", group->remark.empty() ? "" : "; ",
                                 ListSome(names));
  }

  struct Problem {
    Diagnostic diagnostic;
    uint64_t n_tensors = 0;
  };

  // Indices into the group's inputs: the base first where the method has one.
  static std::vector<uint32_t> InputOrder(const TensorGroup& group) {
    std::vector<uint32_t> order(group.inputs.size());
    std::iota(order.begin(), order.end(), 0u);
    if (group.base) std::rotate(order.begin(), order.begin() + *group.base, order.begin() + *group.base + 1);
    return order;
  }

  // A source's place among the models of the recipe, the slice's base not counted.
  static uint32_t ModelIndex(const Slice& slice, const SliceSource& source) {
    if (!slice.base) return source.place;
    const uint32_t base = slice.sources[*slice.base].place;
    return source.place == base ? 0 : source.place - (base < source.place ? 1 : 0);
  }

  void FillInputs(const TensorGroup& group, const std::vector<uint32_t>& order, PlanItem* item) const {
    const ModelTensor& first = *group.inputs[0].tensor;
    item->job.shape = first.shape;
    item->job.n_elems = 1;
    for (uint64_t extent : first.shape) item->job.n_elems *= extent;
    for (uint32_t index : order) {
      const GroupInput& input = group.inputs[index];
      item->job.inputs.push_back({input.tensor->dtype, ModelIndex(*group.slice, *input.source)});
      item->inputs.push_back(
          {input.model, input.tensor->file, input.tensor->name, input.tensor->offset_bytes, input.tensor->size_bytes});
    }
  }

  static void MakeCopy(std::string reason, PlanItem* item) {
    item->action = PlanAction::kCopy;
    item->reason = std::move(reason);
    if (item->remark == item->reason) item->remark.clear();
    item->job.out_dtype = item->job.inputs[0].dtype;
    item->job.has_base = false;
    item->job.method = 0;
    item->job.params.clear();
    item->job.seed = item->job.name_hash = 0;
    item->size_bytes = item->inputs[0].size_bytes;
  }

  std::optional<PlanItem> FinishMerge(const MethodRow& method, const TensorGroup& group, PlanItem item) {
    const DType input_type = item.job.inputs[0].dtype;
    const bool is_copy = method.is_copy(item.job);
    if (Info(input_type).dtype_class == DTypeClass::kOpaque) {
      if (!is_copy) return RefuseOpaque(group, input_type);
      MakeCopy(CopyReason(group), &item);
      return item;
    }
    DType promoted = input_type;
    for (const JobInput& input : item.job.inputs) promoted = PromoteFloat(promoted, input.dtype);
    const std::optional<DType> asked = config_.out_dtype ? config_.out_dtype : config_.dtype;
    item.job.out_dtype = asked.value_or(promoted);
    if (is_copy && item.job.out_dtype == input_type) {
      MakeCopy(CopyReason(group), &item);
      return item;
    }
    item.size_bytes = item.job.n_elems * ElementBytes(item.job.out_dtype);
    compatibility_.NoteMerged(group, !asked);
    if (const std::optional<JobProblem> problem = method.check(item.job)) {
      AddProblem(*problem, group.name);
      return std::nullopt;
    }
    if (item.job.out_dtype == DType::kF8E4M3 && item.overflow == OverflowPolicy::kSaturate &&
        item.nonfinite == NonFinitePolicy::kAllow) {
      AddProblem({ErrorCode::kCfgChoice,
                  "float8_e4m3fn has one pattern for NaN and for what is too large: `nonfinite: allow` would keep it, "
                  "`overflow: saturate` would replace it",
                  "leave one of them out, or choose another out_dtype"},
                 group.name);
      return std::nullopt;
    }
    item.passes = method.passes(item.job);
    return item;
  }

  std::string CopyReason(const TensorGroup& group) const {
    if (group.is_lone) return group.remark;
    return fmt::format("{}: the bytes of one model", method_.info->name);
  }

  std::optional<PlanItem> RefuseOpaque(const TensorGroup& group, DType dtype) {
    AddProblem({ErrorCode::kDtUnsupported, fmt::format("{} can be copied, not merged", Info(dtype).name),
                "convert the models to bfloat16 first; passthrough copies such tensors"},
               group.name);
    return std::nullopt;
  }

  void AddProblem(const JobProblem& problem, const std::string& tensor) {
    Problem& known = problems_[{problem.code, problem.message}];
    if (known.n_tensors++ > 0) return;
    known.diagnostic = {.code = problem.code,
                        .message = fmt::format("tensor {}: {}", Quote(tensor), problem.message),
                        .where = Info(problem.code).exit_status == 3 ? config_.file : "",
                        .help = problem.help};
  }

  const MergeConfig& config_;
  const InputSet& inputs_;
  const MethodRow& method_;
  const uint32_t method_index_;
  CompatibilityCheck compatibility_;
  ParamResolver params_;
  std::map<std::pair<ErrorCode, std::string>, Problem> problems_;  // one entry for all tensors with it
};

}  // namespace

std::vector<PlanItem> MakeItems(const MergeConfig& config, const InputSet& inputs,
                                const std::vector<TensorGroup>& groups, const MethodRow& method,
                                PlanFindings* findings) {
  ItemMaker maker(config, inputs, method);
  std::vector<PlanItem> items;
  items.reserve(groups.size());
  for (const TensorGroup& group : groups) {
    std::optional<PlanItem> item = maker.Make(group);
    if (!item) continue;
    maker.NoteSource(*item);
    items.push_back(std::move(*item));
  }
  maker.Report(findings);
  return items;
}

}  // namespace gpumerge
