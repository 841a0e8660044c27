// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Matching by name. The base (else the slice's first source) says which tensors there are; what another model lacks is
// missing, what it has besides is extra.
#include "src/plan/groups.h"

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
  Matcher(const InputSet& inputs, const HeadPlan& head)
      : inputs_(inputs),
        head_(head),
        missing_(inputs.models.size()),
        extra_(inputs.models.size()),
        extra_beside_(inputs.models.size()) {}

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
      if (inputs_.is_sliced) NoteUnused(model, findings);
    }
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
      if (!Complete(slice, tensors, reference, [&](size_t) { return input_name; })) continue;
      Add({std::string(name), &slice, place, 0, 0, {}}, tensors,
          name == head_.filled_head ? &head_.filled_head : nullptr);
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
      if (!Complete(slice, tensors, reference, input_name)) continue;
      Add({fmt::format("{}{}{}", prefix, output_layer, suffix), &slice, GroupPlace::kLayer, output_layer, t, {}},
          tensors, nullptr);
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

  // Notes what is missing or extra, under the name that the tensor has or would have in its model.
  template <class NameIn>
  bool Complete(const Slice& slice, const TensorList& tensors, size_t reference, NameIn name_in) {
    bool complete = true;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const uint32_t model = slice.sources[i].model;
      if (tensors[i] != nullptr) consumed_.insert(tensors[i]);
      if (tensors[reference] != nullptr && tensors[i] == nullptr) missing_[model].insert(name_in(i));
      if (tensors[reference] == nullptr && tensors[i] != nullptr) {
        extra_[model].insert(name_in(i));
        extra_beside_[model] = slice.sources[reference].model;
      }
      complete &= tensors[i] != nullptr;
    }
    return complete;
  }

  void Add(TensorGroup group, const TensorList& tensors, const std::string* filter_name) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      group.inputs.push_back(
          {&group.slice->sources[i], tensors[i], filter_name != nullptr ? filter_name : &tensors[i]->name});
    }
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
         .help = "merge models of one architecture; `gpumerge inspect` lists a model's tensors"});
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
         .help = "nothing is dropped silently; remove the tensors from a copy of the model if they are not wanted"});
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
  std::vector<std::set<std::string>> missing_, extra_;  // by model
  std::vector<uint32_t> extra_beside_;                  // by model: one that lacks its extra tensors
  std::unordered_set<const ModelTensor*> consumed_;
  std::vector<TensorGroup> groups_;
};

}  // namespace

std::vector<TensorGroup> MatchTensors(const InputSet& inputs, const HeadPlan& head, PlanFindings* findings) {
  Matcher matcher(inputs, head);
  std::vector<TensorGroup> groups = matcher.Run();
  matcher.Report(findings);
  return groups;
}

}  // namespace gpumerge
