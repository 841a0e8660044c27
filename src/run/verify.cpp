// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// All that is wrong is collected; only what makes going on senseless ends the work at once.
#include "src/run/verify.h"

#include "src/base/file.h"
#include "src/base/file_hash.h"
#include "src/base/text.h"
#include "src/io/contained_open.h"
#include "src/io/merge_report.h"
#include "src/io/model_directory.h"
#include "src/io/output_dir.h"
#include "src/plan/model_claims.h"
#include "src/plan/plan_findings.h"
#include "src/run/reported_inputs.h"
#include "src/run/tensor_hashes.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

namespace gpumerge {
namespace {

Diagnostic NotAsReported(std::string message, std::string where) {
  return {.code = ErrorCode::kOutVerify,
          .message = std::move(message),
          .where = std::move(where),
          .help = "the model was changed or damaged after the merge; merge again with its gpumerge_config.yaml"};
}

std::optional<MergeReport> ReadReport(const ModelLocation& location) {
  const std::string path = location.directory + "/" + kMergeReportFile;
  const UniqueFd fd = OpenContained(location.LinkRoot(), path);
  if (!fd) return std::nullopt;
  return ParseMergeReport(ReadSmallFile(fd.get(), path, kMaxMergeReportBytes), path);
}

// Tensors of the report beside those of the files, both lists being whole.
class Comparison {
 public:
  Comparison(const MergeReport& report, const ModelFiles& model, std::vector<Diagnostic>* errors)
      : report_(report), model_(model), errors_(errors) {}

  void Tables() {
    for (const ReportTensor& tensor : report_.tensors) {
      const ModelTensor* there = model_.Find(tensor.name);
      if (there == nullptr) {
        Add("tensor {} of the report is not in the model", tensor.name, model_.location.directory);
      } else if (there->dtype != tensor.dtype || there->shape != tensor.shape) {
        Add("tensor {} has another type or shape than the report states", tensor.name, PathOf(*there));
        errors_->back().found = fmt::format("{} {}", Info(there->dtype).name, ShapeText(there->shape));
        errors_->back().expected = fmt::format("{} {}", Info(tensor.dtype).name, ShapeText(tensor.shape));
      } else {
        reported_.push_back(&tensor);
        there_.push_back(there);
      }
    }
    if (there_.size() == model_.tensors.size()) return;
    std::vector<std::string_view> known;
    for (const ReportTensor& tensor : report_.tensors) known.push_back(tensor.name);
    std::sort(known.begin(), known.end());
    for (const ModelTensor& tensor : model_.tensors)
      if (!std::binary_search(known.begin(), known.end(), std::string_view(tensor.name)))
        Add("tensor {} is not in the report", tensor.name, PathOf(tensor));
  }

  // Returns how many are right.
  uint64_t Hashes(TensorHashes* hashes) {
    const std::vector<std::string> found = hashes->Hash(model_, there_);
    uint64_t n_right = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      if (found[i] == reported_[i]->hash) {
        ++n_right;
        continue;
      }
      Add("tensor {} does not have the bytes that the merge wrote", reported_[i]->name, PathOf(*there_[i]));
      errors_->back().found = found[i];
      errors_->back().expected = reported_[i]->hash;
    }
    return n_right;
  }

  const std::vector<const ModelTensor*>& there() const { return there_; }

 private:
  void Add(std::string_view text, std::string_view tensor, std::string where) {
    errors_->push_back(NotAsReported(fmt::format(fmt::runtime(text), Quote(tensor)), std::move(where)));
  }
  const std::string& PathOf(const ModelTensor& tensor) const { return model_.files[tensor.file].path; }

  const MergeReport& report_;
  const ModelFiles& model_;
  std::vector<Diagnostic>* const errors_;
  std::vector<const ReportTensor*> reported_;  // parallel to there_
  std::vector<const ModelTensor*> there_;
};

// 0: it is no weight file.
uint64_t HeaderBytes(const ModelFiles& model, const std::string& path) {
  for (const WeightFile& file : model.files)
    if (file.path == path) return file.data_begin_bytes;
  return 0;
}

// What is loaded with the weights, too: another tokenizer is another model.
void CheckFiles(const MergeReport& report, const ModelFiles& model, std::vector<Diagnostic>* errors) {
  for (const ReportFile& file : report.files) {
    if (file.hash.empty()) continue;
    const std::string path = model.location.directory + "/" + file.name;
    const UniqueFd fd = OpenContained(model.location.LinkRoot(), path);
    if (!fd) {
      errors->push_back(NotAsReported(fmt::format("the file {} of the report is not there", Quote(file.name)), path));
      continue;
    }
    const std::string found =
        file.is_header ? HashFile(fd.get(), 0, HeaderBytes(model, path), path) : HashFile(fd.get(), path);
    if (found != file.hash) {
      errors->push_back(NotAsReported(
          fmt::format("the {} {} is not what the merge wrote", file.is_header ? "header of" : "file", Quote(file.name)),
          path));
      errors->back().found = found;
      errors->back().expected = file.hash;
    }
  }
}

// What another export left in the directory can be loaded instead of the merge.
void FindStrangers(const ModelFiles& model, std::vector<Diagnostic>* warnings) {
  const ModelDirectory listing = ListModelDirectory(model.location.directory, model.location.LinkRoot());
  std::vector<std::string> strangers = listing.pickles;
  for (const std::string& name : listing.other_weights) {
    const bool is_own = std::any_of(model.files.begin(), model.files.end(), [&](const WeightFile& file) {
      return std::filesystem::path(file.path).filename() == name;
    });
    if (!is_own) strangers.push_back(name);
  }
  if (strangers.empty()) return;
  warnings->push_back(
      {.code = ErrorCode::kOutVerify,
       .message = fmt::format("{} of weights beside the model's own: {}",
                              strangers.size() == 1 ? "1 file" : fmt::format("{} files", strangers.size()),
                              EscapeForTerminal(ListSome(strangers))),
       .where = model.location.directory,
       .help = "another tool might load them instead"});
}

// The first of them, and how many there are.
void Shorten(std::vector<Diagnostic>* errors) {
  if (errors->size() <= kMaxListed) return;
  const size_t n_more = errors->size() - kMaxListed;
  errors->resize(kMaxListed);
  std::string& help = errors->back().help;
  help += fmt::format("{}{} more errors are not shown", help.empty() ? "" : "; ", n_more);
}

uint64_t BytesOf(const std::vector<const ModelTensor*>& tensors) {
  uint64_t bytes = 0;
  for (const ModelTensor* tensor : tensors) bytes += tensor->size_bytes;
  return bytes;
}

Error NoReport(const ModelFiles& model) {
  return Error({.code = ErrorCode::kInMissing,
                .message = "there is no report that says what the inputs were",
                .where = model.location.directory + "/" + kMergeReportFile,
                .help = "leave --inputs out to check the model itself"});
}

}  // namespace

VerifyResult VerifyModel(const std::string& reference, const VerifyOptions& options) {
  const ModelFiles model = OpenModel(LocateModel({.text = reference, .at = {}, .revision = {}}, options.models, ""));
  VerifyResult result;
  result.directory = model.location.directory;
  result.n_files = model.files.size();
  result.n_tensors = model.tensors.size();
  for (const ModelTensor& tensor : model.tensors) result.tensor_bytes += tensor.size_bytes;
  result.warnings = model.warnings;

  std::vector<Diagnostic> errors;
  const std::optional<MergeReport> report = ReadReport(model.location);
  std::vector<Diagnostic> claims = CheckClaims(model);
  // What a merge wrote agrees with itself; another model may have its reasons.
  std::vector<Diagnostic>* to = report ? &errors : &result.warnings;
  std::move(claims.begin(), claims.end(), std::back_inserter(*to));
  if (!report && options.inputs) throw NoReport(model);
  if (report) {
    result.has_report = true;
    result.version = report->version;
    result.method = report->method;
    FindStrangers(model, &result.warnings);
    CheckFiles(*report, model, &errors);
    for (const ReportFile& file : report->files) result.n_side_files += file.is_header || file.hash.empty() ? 0u : 1u;
    Comparison comparison(*report, model, &errors);
    comparison.Tables();
    std::optional<ReportedInputs> inputs;
    if (options.inputs) inputs.emplace(*report, model.location, options.models, &errors);
    TensorHashes hashes(BytesOf(comparison.there()) + (inputs ? inputs->bytes() : 0),
                        comparison.there().size() + (inputs ? inputs->n_tensors() : 0), options.on_progress);
    result.n_hashed = comparison.Hashes(&hashes);
    if (inputs) {
      inputs->Compare(&hashes, &errors);
      result.n_input_models = inputs->n_models();
      result.n_input_tensors = inputs->n_tensors();
      result.input_bytes = inputs->bytes();
    }
  }
  if (options.strict) std::move(result.warnings.begin(), result.warnings.end(), std::back_inserter(errors));
  Shorten(&errors);
  if (!errors.empty()) throw Error(std::move(errors));
  return result;
}

}  // namespace gpumerge
