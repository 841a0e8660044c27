// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Refuses what cannot be merged meaningfully; nothing is cropped, skipped or cast silently.
#include "src/plan/compatibility.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace gpumerge {
namespace {

// What quantisers name their scales and packed weights.
constexpr std::array<std::string_view, 19> kQuantisedEndings{".weight_scale",
                                                             ".weight_scale_inv",
                                                             ".weight_scale_2",
                                                             ".input_scale",
                                                             ".scales",
                                                             ".qweight",
                                                             ".qzeros",
                                                             ".g_idx",
                                                             ".absmax",
                                                             ".quant_map",
                                                             ".weight_packed",
                                                             ".weight_shape",
                                                             ".weight_zero_point",
                                                             ".nested_absmax",
                                                             ".SCB",
                                                             ".k_scale",
                                                             ".v_scale",
                                                             "_proj_scales",
                                                             "_proj_blocks"};

bool IsFloat8(DType dtype) { return dtype == DType::kF8E4M3 || dtype == DType::kF8E5M2; }

// Types that quantisers store codes in; smaller ones cannot be merged anyway. What another document of the recipe makes
// is numbers, whatever its type.
bool HoldsCodes(const InputModel& model, DType dtype, Float8Policy float8) {
  return !model.stage && float8 == Float8Policy::kError && IsFloat8(dtype);
}

// The model's quantization_config without white space; "" where it has none.
std::string QuantisationOf(const JsonDocument& config) {
  for (const std::vector<std::string>& path : {std::vector<std::string>{"quantization_config"},
                                               std::vector<std::string>{"text_config", "quantization_config"}}) {
    std::string raw = config.GetRaw(path).value_or("null");
    std::erase_if(raw, [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; });
    if (raw != "null") return raw;
  }
  return "";
}

std::string QuantisedBy(const InputModel& model, Float8Policy float8) {
  if (!QuantisationOf(model.config).empty()) return "quantization_config in its config.json";
  for (const ModelTensor& tensor : model.files.tensors) {
    const bool is_quantised = std::any_of(kQuantisedEndings.begin(), kQuantisedEndings.end(),
                                          [&](std::string_view ending) { return tensor.name.ends_with(ending); }) ||
                              tensor.name.find(".quant_state.") != std::string::npos;
    if (is_quantised) return fmt::format("the tensor {}", Quote(tensor.name));
    if (HoldsCodes(model, tensor.dtype, float8))
      return fmt::format("the tensor {} of type {}", Quote(tensor.name), Info(tensor.dtype).name);
  }
  return "";
}

bool OnlyFirstAxisDiffers(const TensorGroup& group) {
  const std::vector<uint64_t>& first = group.inputs[0].tensor->shape;
  if (first.empty()) return false;
  return std::all_of(group.inputs.begin(), group.inputs.end(), [&](const GroupInput& input) {
    const std::vector<uint64_t>& shape = input.tensor->shape;
    return shape.size() == first.size() && std::equal(shape.begin() + 1, shape.end(), first.begin() + 1);
  });
}

std::optional<uint64_t> ConfigVocabulary(const JsonDocument& config) {
  if (const std::optional<uint64_t> size = config.GetUint({"vocab_size"})) return size;
  return config.GetUint({"text_config", "vocab_size"});
}

}  // namespace

CompatibilityCheck::CompatibilityCheck(const MergeConfig& config, const InputSet& inputs) : inputs_(inputs) {
  for (const InputModel& model : inputs.models) quantised_by_.push_back(QuantisedBy(model, config.float8));
}

bool CompatibilityCheck::ShapesAgree(const TensorGroup& group) {
  const std::vector<uint64_t>& first = group.inputs[0].tensor->shape;
  if (std::all_of(group.inputs.begin(), group.inputs.end(),
                  [&](const GroupInput& input) { return input.tensor->shape == first; })) {
    return true;
  }
  // Rows of the embedding and of the head are tokens.
  const bool is_vocabulary = OnlyFirstAxisDiffers(group) && group.place != GroupPlace::kLayer &&
                             std::any_of(group.inputs.begin(), group.inputs.end(), [&](const GroupInput& input) {
                               const InputModel& model = group.set->models[input.model];
                               return input.tensor == FindEmbedding(model.layout) ||
                                      input.tensor == FindHead(model.layout) ||
                                      input.tensor->shape[0] == ConfigVocabulary(model.config);
                             });
  if (is_vocabulary) {
    if (vocabulary_tensors_.empty()) vocabulary_rows_ = RowsText(group);
    vocabulary_tensors_.push_back(group.name);
    return false;
  }
  std::string shapes;
  for (const GroupInput& input : group.inputs) {
    shapes += fmt::format("{}{} in \"{}\"", shapes.empty() ? "" : ", ", ShapeText(input.tensor->shape),
                          inputs_.models[input.model].reference);
  }
  tensor_errors_.push_back({.code = ErrorCode::kMmShape,
                            .message = fmt::format("tensor {}: the models' shapes differ", Quote(group.name)),
                            .found = shapes,
                            .expected = "one shape in all models",
                            .help = "merge models of one architecture and size, or let the base's tensor stand in: "
                                    "on_mismatch: [{filter: NAME, value: base}]"});
  return false;
}

std::string CompatibilityCheck::RowsText(const TensorGroup& group) const {
  std::string text;
  for (const GroupInput& input : group.inputs) {
    const InputModel& model = inputs_.models[input.model];
    const std::optional<uint64_t> stated = ConfigVocabulary(model.config);
    text += fmt::format("{}{} rows in \"{}\"{}", text.empty() ? "" : ", ", input.tensor->shape[0], model.reference,
                        stated ? fmt::format(" (vocab_size {})", *stated) : "");
  }
  return text;
}

std::string CompatibilityCheck::TypesText(const TensorGroup& group) const {
  std::string text;
  for (const GroupInput& input : group.inputs) {
    text += fmt::format("{}{} in \"{}\"", text.empty() ? "" : ", ", Info(input.tensor->dtype).name,
                        inputs_.models[input.model].reference);
  }
  return text;
}

bool CompatibilityCheck::TypesAgree(const TensorGroup& group) {
  const DType first = group.inputs[0].tensor->dtype;
  const bool same = std::all_of(group.inputs.begin(), group.inputs.end(),
                                [&](const GroupInput& input) { return input.tensor->dtype == first; });
  const bool all_float = std::all_of(group.inputs.begin(), group.inputs.end(),
                                     [](const GroupInput& input) { return IsFloat(input.tensor->dtype); });
  if (same || all_float) return true;
  const DTypeClass first_class = Info(first).dtype_class;
  const bool one_class = std::all_of(group.inputs.begin(), group.inputs.end(), [&](const GroupInput& input) {
    return Info(input.tensor->dtype).dtype_class == first_class;
  });
  tensor_errors_.push_back(
      {.code = one_class ? ErrorCode::kMmIntDiffers : ErrorCode::kMmDTypeClass,
       .message = fmt::format("tensor {}: the models store different kinds of numbers", Quote(group.name)),
       .found = TypesText(group),
       .expected =
           one_class ? "one type in all models, since such tensors are copied" : "floating types in all models"});
  return false;
}

void CompatibilityCheck::NoteMerged(const TensorGroup& group, bool promoted) {
  bool differ = false, has_float64 = false;
  for (const GroupInput& input : group.inputs) {
    differ |= input.tensor->dtype != group.inputs[0].tensor->dtype;
    has_float64 |= input.tensor->dtype == DType::kF64;
    if (!quantised_by_[input.model].empty()) quantised_merged_.try_emplace(input.model, group.name);
  }
  if (has_float64) float64_.push_back(group.name);
  if (!differ || !promoted) return;
  promoted_.push_back(group.name);
  promoted_types_.insert(TypesText(group));
}

void CompatibilityCheck::NoteSource(uint32_t model, const std::string& tensor) {
  const InputModel& donor = inputs_.models[inputs_.donor];
  if (model == inputs_.donor || !donor.has_config() || stored_otherwise_.contains(model)) return;
  if (QuantisationOf(inputs_.models[model].config) != QuantisationOf(donor.config))
    stored_otherwise_.emplace(model, tensor);
}

void CompatibilityCheck::ReportQuantised(PlanFindings* findings) const {
  const InputModel& donor = inputs_.models[inputs_.donor];
  const auto text = [](const InputModel& model) {
    const std::string raw = QuantisationOf(model.config);
    return raw.empty() ? "no quantization_config in " + Quote(model.reference) : EscapeForTerminal(raw);
  };
  // Where arithmetic on codes is refused, that says enough.
  if (quantised_merged_.empty()) {
    for (const auto& [model, tensor] : stored_otherwise_) {
      findings->errors.push_back(
          {.code = ErrorCode::kMmQuantised,
           .message =
               fmt::format("the output would have the config.json of {}, which does not say how {} of {} is stored",
                           Quote(donor.reference), Quote(tensor), Quote(inputs_.models[model].reference)),
           .where = inputs_.models[model].files.location.directory,
           .found = text(inputs_.models[model]),
           .expected = text(donor),
           .help = "a loader would take codes for weights, or weights for codes: take all layers from models that are "
                   "quantised alike, or from unquantised ones"});
    }
  }
  for (const auto& [model, tensor] : quantised_merged_) {
    findings->errors.push_back(
        {.code = ErrorCode::kMmQuantised,
         .message = fmt::format("the model \"{}\" is quantised, and merging would do arithmetic on its tensor {}",
                                inputs_.models[model].reference, Quote(tensor)),
         .where = inputs_.models[model].files.location.directory,
         .found = quantised_by_[model],
         .expected = "unquantised weights",
         .help = "use the model's original weights, or dequantise it first; passthrough copies quantised layers. "
                 "`float8: plain` takes 8-bit floats without scales for the numbers they are"});
  }
}

void CompatibilityCheck::Report(PlanFindings* findings) const {
  ReportQuantised(findings);
  if (!vocabulary_tensors_.empty()) {
    findings->errors.push_back(
        {.code = ErrorCode::kMmVocab,
         .message =
             fmt::format("tensor {}: the models' vocabularies have different sizes", Quote(vocabulary_tensors_[0])),
         .found = vocabulary_rows_,
         .expected = "the same number of rows in all models",
         .help =
             fmt::format("rows are tokens, so nothing is cropped; give all models one tokenizer first ({} affected)",
                         Plural(vocabulary_tensors_.size(), "tensor"))});
  }
  const size_t n_listed = std::min(tensor_errors_.size(), kMaxListed);
  for (size_t i = 0; i < n_listed; ++i) findings->errors.push_back(tensor_errors_[i]);
  if (tensor_errors_.size() > n_listed)
    findings->errors.back().help +=
        fmt::format(" ({} more tensors have such problems)", tensor_errors_.size() - n_listed);
  if (!promoted_.empty()) {
    findings->warnings.push_back(
        {.code = ErrorCode::kMmPromoted,
         .message = fmt::format("{} stored in different types; the output takes the type that holds both: {}",
                                promoted_.size() == 1 ? "1 tensor is" : fmt::format("{} tensors are", promoted_.size()),
                                ListSome(promoted_)),
         .found = ListSome(promoted_types_, 4),
         .help = "set dtype or out_dtype to choose the output's type"});
  }
  if (!float64_.empty()) {
    findings->warnings.push_back(
        {.code = ErrorCode::kMmF64,
         .message = fmt::format("{} float64 and rounded to float32 when read: {}",
                                float64_.size() == 1 ? "1 tensor is" : fmt::format("{} tensors are", float64_.size()),
                                ListSome(float64_)),
         .help = "arithmetic is in float32"});
  }
}

}  // namespace gpumerge
