// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Matching by name. The base (else the slice's first source) says which tensors there are; what another model lacks is
// missing, what it has besides is extra.
#include "src/plan/groups.h"

#include "src/plan/buffers.h"
#include "src/plan/missing.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <unordered_set>

namespace gpumerge {
namespace {

using TensorList = std::vector<const ModelTensor*>;

class Matcher {
 public:
  Matcher(const MergeConfig& config, const MethodInfo& method, const InputSet& inputs, const HeadPlan& head)
      : inputs_(inputs),
        head_(head),
        is_lenient_(config.missing != MissingPolicy::kError),
        drops_extra_(config.extra == ExtraPolicy::kDrop),
        missing_tensors_(config, method, inputs),
        missing_(inputs.models.size()),
        extra_(inputs.models.size()),
        extra_beside_(inputs.models.size()),
        dropped_(inputs.models.size()) {}

  std::vector<TensorGroup> Run() {
    const Slice& first = inputs_.slices.front();
    const Slice& last = inputs_.slices.back();
    MatchShared(first, GroupPlace::kBefore);
    uint64_t output_layer = 0;
    for (const Slice& slice : inputs_.slices) {
      for (uint64_t i = 0; i < slice.n_layers(); ++i) MatchLayer(slice, i, output_layer++);
    }
    MatchShared(last, GroupPlace::kAfter);
    return std::move(groups_);
  }

  void Report(PlanFindings* findings) const {
    for (size_t model = 0; model < inputs_.models.size(); ++model) {
      ReportMissing(model, findings);
      ReportExtra(model, findings);
      ReportDropped(static_cast<uint32_t>(model), findings);
      if (inputs_.is_sliced) NoteUnused(model, findings);
    }
    missing_tensors_.Report(findings);
    WarnOfBuffers(findings);
  }

 private:
  // The tensors of one place in every source, keyed by the part of the name that must agree. A null tensor: not there.
  using Rows = std::map<std::string_view, TensorList>;

  void MatchShared(const Slice& slice, GroupPlace place) {
    Rows rows;
    for (size_t i = 0; i < slice.sources.size(); ++i) {
      const ModelLayout& layout = inputs_.models[slice.sources[i].model].layout;
      for (const ModelTensor* tensor : place == GroupPlace::kBefore ? layout.before : layout.after)
        Row(&rows, tensor->name, slice)[i] = tensor;
    }
    FillHead(slice, &rows);
    const size_t reference = ReferenceOf(slice);
    for (const auto& [name, tensors] : rows) {
      const std::string input_name(name);
      const bool is_lenient = is_lenient_ && (tensors[reference] != nullptr || !IsBeyondLayers(slice, name));
      if (!Complete(slice, tensors, reference, is_lenient, [&](size_t) { return input_name; })) continue;
      TensorGroup group;
      group.name = input_name;
      group.place = place;
      Add(std::move(group), slice, tensors, name == head_.filled_head ? &head_.filled_head : nullptr);
    }
  }

  // Models with tied embeddings have no head of their own: their embedding is their head.
  void FillHead(const Slice& slice, Rows* rows) const {
    const auto head = rows->find(head_.filled_head);
    if (head_.filled_head.empty() || head == rows->end()) return;
    for (size_t i = 0; i < slice.sources.size(); ++i) {
      const uint32_t model = slice.sources[i].model;
      const bool is_tied =
          std::find(head_.tied_models.begin(), head_.tied_models.end(), model) != head_.tied_models.end();
      if (head->second[i] == nullptr && is_tied) head->second[i] = FindEmbedding(inputs_.models[model].layout);
    }
  }

  void MatchLayer(const Slice& slice, uint64_t index, uint64_t output_layer) {
    Rows rows;
    for (size_t i = 0; i < slice.sources.size(); ++i) {
      const ModelLayout& layout = inputs_.models[slice.sources[i].model].layout;
      for (const ModelTensor* tensor : layout.layers[slice.sources[i].layer_begin + index])
        Row(&rows, LayerSuffix(*layout.stack, tensor->name), slice)[i] = tensor;
    }
    const uint64_t n_layers = slice.n_layers();
    const double t = n_layers == 1 ? 1 : static_cast<double>(index) / static_cast<double>(n_layers - 1);
    const std::string& prefix = inputs_.models[slice.sources[0].model].layout.stack->prefix;
    const size_t reference = ReferenceOf(slice);
    for (const auto& [suffix, tensors] : rows) {
      const auto input_name = [&, suffix_text = suffix](size_t source) {
        return fmt::format("{}{}{}", prefix, slice.sources[source].layer_begin + index, suffix_text);
      };
      if (!Complete(slice, tensors, reference, is_lenient_, input_name)) continue;
      TensorGroup group;
      group.name = fmt::format("{}{}{}", prefix, output_layer, suffix);
      group.place = GroupPlace::kLayer;
      group.layer = output_layer;
      group.t = t;
      Add(std::move(group), slice, tensors, nullptr);
    }
  }

  static TensorList& Row(Rows* rows, std::string_view key, const Slice& slice) {
    TensorList& row = (*rows)[key];
    row.resize(slice.sources.size());
    return row;
  }

  // The source that says which tensors there are.
  size_t ReferenceOf(const Slice& slice) const {
    if (slice.base) return *slice.base;
    for (size_t i = 0; i < slice.sources.size(); ++i)
      if (slice.sources[i].model == inputs_.donor) return i;
    return 0;
  }

  // Tensors numbered past the layers that the reference has: a deeper model's, which config.json would deny.
  bool IsBeyondLayers(const Slice& slice, std::string_view name) const {
    const std::optional<LayerStack>& stack = inputs_.models[slice.sources[ReferenceOf(slice)].model].layout.stack;
    if (!stack || !name.starts_with(stack->prefix)) return false;
    const std::string_view rest = name.substr(stack->prefix.size());
    const size_t n_digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    return n_digits > 0 && n_digits < rest.size() && rest[n_digits] == '.';
  }

  // Notes what is missing or extra, under the name that the tensor has or would have in its model.
  template <class NameIn>
  bool Complete(const Slice& slice, const TensorList& tensors, size_t reference, bool is_lenient, NameIn name_in) {
    bool complete = true;
    const bool is_buffer = IsBufferRow(tensors);
    const bool is_dropped = drops_extra_ && !is_buffer && tensors[reference] == nullptr;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const uint32_t model = slice.sources[i].model;
      if (tensors[i] != nullptr) consumed_.insert(tensors[i]);
      if (tensors[i] != nullptr && is_dropped) dropped_[model].insert(name_in(i));
      if (is_lenient || is_buffer || is_dropped) continue;
      if (tensors[reference] != nullptr && tensors[i] == nullptr) missing_[model].insert(name_in(i));
      if (tensors[reference] == nullptr && tensors[i] != nullptr) {
        extra_[model].insert(name_in(i));
        extra_beside_[model] = slice.sources[reference].model;
      }
      complete &= tensors[i] != nullptr;
    }
    return complete && !is_dropped;
  }

  static bool IsBufferRow(const TensorList& tensors) {
    return std::all_of(tensors.begin(), tensors.end(),
                       [](const ModelTensor* tensor) { return tensor == nullptr || IsBuffer(*tensor); });
  }

  // Models that lack a buffer compute it themselves.
  void SettleBuffer(TensorGroup* group) {
    group->is_buffer = true;
    const SliceSource* base = group->base ? group->inputs[*group->base].source : nullptr;
    const size_t n_before = group->inputs.size();
    std::erase_if(group->inputs, [](const GroupInput& input) { return input.tensor == nullptr; });
    group->base.reset();
    for (uint32_t i = 0; i < group->inputs.size(); ++i)
      if (group->inputs[i].source == base) group->base = i;
    if (group->inputs.size() == n_before) return;
    group->remark = "a buffer that some models lack";
    buffers_.push_back(group->name);
  }

  void Add(TensorGroup group, const Slice& slice, const TensorList& tensors, const std::string* filter_name) {
    group.set = &inputs_;
    group.slice = &slice;
    group.base = slice.base;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const std::string* own_name = tensors[i] != nullptr ? &tensors[i]->name : nullptr;
      group.inputs.push_back(
          {&slice.sources[i], tensors[i], slice.sources[i].model, filter_name != nullptr ? filter_name : own_name});
    }
    if (IsBufferRow(tensors))
      SettleBuffer(&group);
    else if (!missing_tensors_.Settle(&group))
      return;
    groups_.push_back(std::move(group));
  }

  std::string DepthHint(size_t model) const {
    const std::optional<ConfigDepth> depth = FindConfigDepth(inputs_.models[model].config);
    const std::optional<ConfigDepth> donor_depth = FindConfigDepth(inputs_.models[inputs_.donor].config);
    if (!depth || !donor_depth || depth->n_layers == donor_depth->n_layers) return "";
    return fmt::format("; its config.json states {} layers, that of \"{}\" {}", depth->n_layers,
                       inputs_.models[inputs_.donor].reference, donor_depth->n_layers);
  }

  void ReportMissing(size_t model, PlanFindings* findings) const {
    const std::set<std::string>& names = missing_[model];
    if (names.empty()) return;
    const InputModel& input = inputs_.models[model];
    findings->errors.push_back(
        {.code = ErrorCode::kMmMissing,
         .message = fmt::format("the model \"{}\" lacks {} that the others have: {}", input.reference,
                                Plural(names.size(), "tensor"), ListSome(names)),
         .where = input.files.location.directory,
         .found = Plural(input.files.tensors.size(), "tensor") + DepthHint(model),
         .expected = "the same tensors in every model of a merge",
         .help = "merge models of one architecture, or say what is meant: `missing: present` or `missing: base`"});
  }

  void ReportExtra(size_t model, PlanFindings* findings) const {
    const std::set<std::string>& names = extra_[model];
    if (names.empty()) return;
    const InputModel& input = inputs_.models[model];
    findings->errors.push_back(
        {.code = ErrorCode::kMmExtra,
         .message = fmt::format("the model \"{}\" has {} that \"{}\" lacks: {}", input.reference,
                                Plural(names.size(), "tensor"), inputs_.models[extra_beside_[model]].reference,
                                ListSome(names)),
         .where = input.files.location.directory,
         .found = Plural(input.files.tensors.size(), "tensor") + DepthHint(model),
         .expected = "the same tensors in every model of a merge",
         .help = "nothing is dropped silently; `missing: present` merges a tensor from the models that have it, "
                 "`extra: drop` leaves it out"});
  }

  void ReportDropped(uint32_t model, PlanFindings* findings) const {
    const std::set<std::string>& names = dropped_[model];
    if (names.empty()) return;
    for (const std::string& name : names) findings->dropped.push_back({name, model});
    findings->notes.push_back(fmt::format("{} of \"{}\" left out (extra: drop): {}", Plural(names.size(), "tensor"),
                                          inputs_.models[model].reference, ListSome(names, 4)));
  }

  void WarnOfBuffers(PlanFindings* findings) const {
    if (buffers_.empty()) return;
    findings->warnings.push_back(
        {.code = ErrorCode::kMmBuffer,
         .message =
             fmt::format("{} that only some models have; the output has {}: {}",
                         buffers_.size() == 1 ? "1 buffer is one" : fmt::format("{} buffers are ones", buffers_.size()),
                         buffers_.size() == 1 ? "it" : "them", ListSome(buffers_)),
         .help = "loaders compute such tables from config.json"});
  }

  // With `slices:` tensors may be left out on purpose; say how many, so that a wrong range is noticed.
  void NoteUnused(size_t model, PlanFindings* findings) const {
    const InputModel& input = inputs_.models[model];
    const auto is_source = [&](const Slice& slice) {
      return std::any_of(slice.sources.begin(), slice.sources.end(),
                         [&](const SliceSource& source) { return source.model == model; });
    };
    if (std::none_of(inputs_.slices.begin(), inputs_.slices.end(), is_source)) return;
    std::vector<std::string> unused;
    for (const ModelTensor& tensor : input.files.tensors)
      if (!consumed_.contains(&tensor)) unused.push_back(tensor.name);
    if (unused.empty()) return;
    findings->notes.push_back(fmt::format("{} of \"{}\" are outside the slices and not used: {}",
                                          Plural(unused.size(), "tensor"), input.reference, ListSome(unused, 4)));
  }

  const InputSet& inputs_;
  const HeadPlan& head_;
  const bool is_lenient_, drops_extra_;  // about tensors that some models lack
  MissingTensors missing_tensors_;
  std::vector<std::set<std::string>> missing_, extra_;  // by model
  std::vector<uint32_t> extra_beside_;                  // by model: one that lacks its extra tensors
  std::vector<std::set<std::string>> dropped_;          // by model
  std::vector<std::string> buffers_;                    // that some models lack
  std::unordered_set<const ModelTensor*> consumed_;
  std::vector<TensorGroup> groups_;
};

}  // namespace

std::vector<TensorGroup> MatchTensors(const MergeConfig& config, const MethodInfo& method, const InputSet& inputs,
                                      const HeadPlan& head, PlanFindings* findings) {
  Matcher matcher(config, method, inputs, head);
  std::vector<TensorGroup> groups = matcher.Run();
  matcher.Report(findings);
  return groups;
}

}  // namespace gpumerge
