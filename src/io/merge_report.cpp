// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// One pass over the text's events; what is of no use here, such as parameters, is passed over.
#include "src/io/merge_report.h"

#include "src/base/text.h"
#include "src/io/strict_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_set>

namespace gpumerge {
namespace {

constexpr size_t kHashDigits = 32;
// What a list may hold; with entries that must be whole when they end, this bounds memory by the text's size.
constexpr size_t kMaxTensors = 2'000'000, kMaxFiles = 100'000, kMaxModels = 10'000, kMaxRank = 32;

bool IsHash(std::string_view text) {
  return text.size() == kHashDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  void Take(const JsonEvent& event) {
    switch (event.kind) {
      case JsonKind::kKey:
        key_ = event.text;
        return;
      case JsonKind::kBeginObject:
      case JsonKind::kBeginArray:
        return Enter(event.kind == JsonKind::kBeginArray);
      case JsonKind::kEndObject:
        CheckWhole();
        [[fallthrough]];
      case JsonKind::kEndArray:
        path_.resize(outer_.back().path_bytes);
        outer_.pop_back();
        return;
      default:
        return Value(PathOf(Name()), event);
    }
  }

  MergeReport Finish() {
    Require(!report_.version.empty(), "no \"gpumerge\" with the version that wrote it");
    for (const ReportFile& file : report_.files) Check(file);
    for (const auto* tensors : {&report_.tensors, &report_.stage_tensors})
      for (const ReportTensor& tensor : *tensors) {
        Check(tensor);
        for (const ReportInput& input : tensor.inputs) {
          Check(input);
          Require(input.model < report_.models.size(), "an input of a model that is not listed");
        }
      }
    std::unordered_set<std::string_view> names;
    for (const ReportTensor& tensor : report_.tensors) {
      if (names.insert(tensor.name).second) continue;
      throw Error({.code = ErrorCode::kCfgDuplicateJson,
                   .message = fmt::format("the report lists tensor \"{}\" twice", EscapeForTerminal(tensor.name)),
                   .where = file_});
    }
    return std::move(report_);
  }

 private:
  struct Outer {
    size_t path_bytes = 0;
    bool is_array = false;
  };

  // What the next value is called in what holds it.
  std::string_view Name() const { return outer_.empty() ? "" : outer_.back().is_array ? "[]" : std::string_view(key_); }
  std::string PathOf(std::string_view name) const {
    return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
  }

  void Enter(bool is_array) {
    const size_t before = path_.size();
    path_ = PathOf(Name());
    outer_.push_back({before, is_array});
    if (is_array) return;
    if (path_ == "models.[]") Add(kMaxModels, &report_.models);
    if (path_ == "files.[]") Add(kMaxFiles, &report_.files);
    if (path_ == "tensors.[]") Add(kMaxTensors, &report_.tensors);
    if (path_ == "stage_tensors.[]") Add(kMaxTensors, &report_.stage_tensors);
    if (path_ == "tensors.[].inputs.[]") Add(kMaxModels, &Last(&report_.tensors).inputs);
    if (path_ == "stage_tensors.[].inputs.[]") Add(kMaxModels, &Last(&report_.stage_tensors).inputs);
  }

  template <class T>
  void Add(size_t most, std::vector<T>* list) const {
    Limit(list->size(), most);
    list->emplace_back();
  }

  void Limit(size_t size, size_t most) const {
    if (size < most) return;
    throw Error({.code = ErrorCode::kResLimit,
                 .message = "a list in the report is longer than any merge makes it",
                 .where = file_,
                 .found = fmt::format("more at {}", path_),
                 .expected = fmt::format("at most {}", most),
                 .help = "it was edited or damaged; without it the structure alone can be checked"});
  }

  // Called at the end of every object: entries without contents would cost memory out of all proportion to their text.
  void CheckWhole() {
    if (path_ == "files.[]") Check(Last(&report_.files));
    if (path_ == "tensors.[]") Check(Last(&report_.tensors));
    if (path_ == "stage_tensors.[]") Check(Last(&report_.stage_tensors));
    if (path_ == "tensors.[].inputs.[]") Check(Last(&Last(&report_.tensors).inputs));
    if (path_ == "stage_tensors.[].inputs.[]") Check(Last(&Last(&report_.stage_tensors).inputs));
  }

  // What a value belongs to; a list of lists, or a key with dots in it, can look like one without it.
  template <class T>
  T& Last(std::vector<T>* list) const {
    Require(!list->empty(), "a value outside of what it belongs to");
    return list->back();
  }

  void Value(const std::string& path, const JsonEvent& event) {
    const bool is_text = event.kind == JsonKind::kString;
    if (is_text && path == "gpumerge") report_.version = event.text;
    if (is_text && path == "method") report_.method = event.text;
    if (is_text && path == "models.[].name") Last(&report_.models).name = event.text;
    if (is_text && path == "files.[].name") Last(&report_.files).name = event.text;
    if (is_text && path == "files.[].xxh3_128") Last(&report_.files).hash = event.text;
    if (is_text && path == "files.[].header_xxh3_128") {
      Last(&report_.files).hash = event.text;
      Last(&report_.files).is_header = true;
    }
    if (path == "models.[].stage") Last(&report_.models).is_stage = true;
    for (auto [prefix, tensors] : {std::pair(std::string_view("tensors.[]."), &report_.tensors),
                                   std::pair(std::string_view("stage_tensors.[]."), &report_.stage_tensors)})
      if (path.starts_with(prefix)) TensorValue(path.substr(prefix.size()), event, &Last(tensors));
  }

  void TensorValue(const std::string& path, const JsonEvent& event, ReportTensor* tensor) {
    const bool is_text = event.kind == JsonKind::kString;
    const bool is_whole = event.kind == JsonKind::kUnsigned;
    if (path == "shape.[]") {
      Require(is_whole, "a shape that is not of whole numbers");
      Limit(tensor->shape.size(), kMaxRank);
      tensor->shape.push_back(event.number);
    } else if (path == "dtype") {
      const std::optional<DType> dtype = is_text ? ParseSafetensorsDType(event.text) : std::nullopt;
      Require(dtype.has_value(), "a dtype that is none");
      tensor->dtype = *dtype;
    } else if (path == "inputs.[].model") {
      Require(is_whole, "a model that is not a number");
      Last(&tensor->inputs).model = event.number;
    } else if (is_text && path == "name") {
      tensor->name = event.text;
    } else if (is_text && path == "xxh3_128") {
      tensor->hash = event.text;
    } else if (is_text && path == "inputs.[].tensor") {
      Last(&tensor->inputs).tensor = event.text;
    } else if (is_text && path == "inputs.[].xxh3_128") {
      Last(&tensor->inputs).hash = event.text;
    }
  }

  void Check(const ReportTensor& tensor) const {
    Require(!tensor.name.empty(), "a tensor without a name");
    Require(IsHash(tensor.hash), "a tensor without a hash of 32 hex digits");
  }
  void Check(const ReportInput& input) const {
    Require(!input.tensor.empty() && IsHash(input.hash), "an input without tensor and hash");
  }
  // One component, which names a file of the directory and nothing else.
  void Check(const ReportFile& file) const {
    const bool is_plain = !file.name.empty() && file.name != "." && file.name != ".." &&
                          file.name.find('/') == file.name.npos && file.name.find('\0') == file.name.npos;
    Require(is_plain && (file.hash.empty() || IsHash(file.hash)), "a file without a plain name, or with a wrong hash");
  }

  void Require(bool holds, std::string_view found) const {
    if (holds) return;
    throw Error({.code = ErrorCode::kJsonSyntax,
                 .message = "the file is not a report that gpumerge wrote",
                 .where = file_,
                 .found = std::string(found),
                 .help = "it was edited or damaged; without it the structure alone can be checked"});
  }

  const std::string& file_;
  MergeReport report_;
  std::string path_, key_;
  std::vector<Outer> outer_;
};

}  // namespace

MergeReport ParseMergeReport(std::string_view json, const std::string& file) {
  Reader reader(file);
  ReadStrictJson(json, ErrorCode::kJsonSyntax, file, [&](const JsonEvent& event) { reader.Take(event); });
  return reader.Finish();
}

}  // namespace gpumerge
