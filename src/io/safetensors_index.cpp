// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The index as a state machine over JSON events. Only weight_map and metadata.total_size mean anything; other keys are
// allowed, as every reader allows them.
#include "src/io/safetensors_index.h"

#include "src/base/text.h"
#include "src/io/strict_json.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>
#include <map>
#include <set>
#include <system_error>
#include <utility>

namespace gpumerge {
namespace {

constexpr size_t kMaxEntries = 2'000'000;
constexpr size_t kMaxTensorNameBytes = size_t{64} << 10;
constexpr size_t kMaxComponentBytes = 255;
constexpr size_t kMaxReports = 20;
constexpr size_t kMaxOtherKeys = 10'000;  // of the index itself and of its metadata

bool EndsWithNoCase(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() &&
         std::equal(ending.begin(), ending.end(), text.end() - static_cast<std::ptrdiff_t>(ending.size()),
                    [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
}

// Why a shard name could leave the directory or hide where it leads; "" if it cannot.
std::string_view TraversalIn(std::string_view name) {
  if (name.empty()) return "an empty name";
  if (name.front() == '/') return "an absolute path";
  if (name.find('\0') != std::string_view::npos) return "a NUL byte";
  if (name.find('\\') != std::string_view::npos) return "a backslash";
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return "an empty, \".\" or \"..\" component";
    if (part.size() > kMaxComponentBytes) return "a component of more than 255 bytes";
    begin = end + 1;
  }
  return "";
}

class IndexReader {
 public:
  IndexReader(std::string_view json, const std::string& file) : json_(json), file_(file) {}

  void Handle(const JsonEvent& event) {
    const bool begins = event.kind == JsonKind::kBeginObject || event.kind == JsonKind::kBeginArray;
    const bool ends = event.kind == JsonKind::kEndObject || event.kind == JsonKind::kEndArray;
    if (ends) --depth_;
    if (depth_ == 0 && !ends && event.kind != JsonKind::kBeginObject) FailFormat("the index is not a JSON object");
    if (depth_ == 1 && !ends) AtRoot(event);
    if (depth_ == 2 && !ends && section_ == Section::kWeightMap) InWeightMap(event);
    if (depth_ == 2 && !ends && section_ == Section::kMetadata) InMetadata(event);
    if (begins) ++depth_;
  }

  SafetensorsIndex Finish() {
    if (!has_weight_map_ || entries_.empty()) FailFormat("the index has no weight_map, or an empty one");
    CheckShardNames();
    SafetensorsIndex index;
    index.total_size = total_size_;
    for (auto& [name, number] : shards_) {
      number = static_cast<uint32_t>(index.shards.size());
      index.shards.push_back(name);
    }
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.tensor < b.tensor; });
    CheckDuplicates();
    index.entries.reserve(entries_.size());
    for (Entry& entry : entries_) index.entries.push_back({std::move(entry.tensor), entry.shard->second});
    return index;
  }

 private:
  using Shards = std::map<std::string, uint32_t, std::less<>>;
  struct Entry {
    std::string tensor;
    uint32_t key_end_byte = 0;
    Shards::iterator shard;
  };
  enum class Section : uint8_t { kOther, kMetadata, kWeightMap };

  std::string Where(size_t key_end_byte) const {
    return key_end_byte == 0 ? file_ : fmt::format("{} (byte {})", file_, JsonStringBegin(json_, key_end_byte));
  }

  [[noreturn]] void Fail(ErrorCode code, std::string message, std::string found, std::string expected) const {
    throw Error({.code = code,
                 .message = std::move(message),
                 .where = Where(key_end_byte_),
                 .found = std::move(found),
                 .expected = std::move(expected),
                 .help = "the index is damaged or was written by hand; get it again"});
  }
  [[noreturn]] void FailFormat(std::string message) const {
    Fail(ErrorCode::kIndexMalformed, std::move(message), {},
         "{\"metadata\": {...}, \"weight_map\": {\"tensor\": \"file\"}}");
  }

  void AtRoot(const JsonEvent& event) {
    if (event.kind == JsonKind::kKey) {
      key_end_byte_ = event.end_byte;
      section_ = event.text == "weight_map" ? Section::kWeightMap
                 : event.text == "metadata" ? Section::kMetadata
                                            : Section::kOther;
      bool& was_seen = section_ == Section::kWeightMap ? has_weight_map_ : has_metadata_;
      if (section_ != Section::kOther) was_seen = true;
      CheckNew(event.text, &root_keys_);
    } else if (section_ == Section::kWeightMap && event.kind != JsonKind::kBeginObject) {
      FailFormat("weight_map is not an object");
    }
  }

  void CheckNew(std::string_view key, std::set<std::string, std::less<>>* keys) const {
    if (keys->size() == kMaxOtherKeys)
      Fail(ErrorCode::kResLimit, "the index exceeds the limits for untrusted input", "more keys beside its tensors",
           fmt::format("at most {}", kMaxOtherKeys));
    if (!keys->emplace(key).second)
      Fail(ErrorCode::kIndexDuplicate, fmt::format("the index has the key \"{}\" twice", EscapeForTerminal(key)), {},
           "once");
  }

  void InWeightMap(const JsonEvent& event) {
    if (event.kind == JsonKind::kKey) {
      key_end_byte_ = event.end_byte;
      if (event.text.empty()) FailFormat("the index has a tensor with an empty name");
      if (event.text.size() > kMaxTensorNameBytes || entries_.size() == kMaxEntries)
        Fail(ErrorCode::kResLimit, "the index exceeds the limits for untrusted input",
             fmt::format("{} tensors, a name of {} bytes", entries_.size() + 1, event.text.size()),
             fmt::format("at most {} tensors with names of {} bytes", kMaxEntries, kMaxTensorNameBytes));
      entries_.push_back({std::string(event.text), static_cast<uint32_t>(event.end_byte), shards_.end()});
    } else if (event.kind == JsonKind::kString) {
      auto at = shards_.find(event.text);
      if (at == shards_.end()) at = shards_.emplace(std::string(event.text), 0).first;
      entries_.back().shard = at;
    } else {
      FailFormat(fmt::format("the file of tensor \"{}\" is not a string", EscapeForTerminal(entries_.back().tensor)));
    }
  }

  // Writers are not of one mind: 123, 123.0 and "123" exist. What is no number is not compared.
  void InMetadata(const JsonEvent& event) {
    if (event.kind == JsonKind::kKey) {
      key_end_byte_ = event.end_byte;
      CheckNew(event.text, &metadata_keys_);
      at_total_size_ = event.text == "total_size";
      return;
    }
    if (!at_total_size_) return;
    if (event.kind == JsonKind::kUnsigned) total_size_ = static_cast<double>(event.number);
    if (event.kind == JsonKind::kNumber || event.kind == JsonKind::kString) {
      double value = 0;
      const auto [end, error] = std::from_chars(event.text.data(), event.text.data() + event.text.size(), value);
      if (error == std::errc() && end == event.text.data() + event.text.size()) total_size_ = value;
    }
  }

  void CheckShardNames() const {
    std::vector<Diagnostic> diagnostics;
    for (const auto& [name, unused] : shards_) {
      const std::string_view traversal = TraversalIn(name);
      const bool is_pickle =
          EndsWithNoCase(name, ".bin") || EndsWithNoCase(name, ".pt") || EndsWithNoCase(name, ".pth");
      if (traversal.empty() && EndsWithNoCase(name, ".safetensors")) continue;
      if (diagnostics.size() == kMaxReports) break;
      diagnostics.push_back(
          {.code = !traversal.empty() ? ErrorCode::kIndexTraversal
                   : is_pickle        ? ErrorCode::kInPickle
                                      : ErrorCode::kIndexMalformed,
           .message = fmt::format("the index names a file that cannot be a shard: \"{}\"", EscapeForTerminal(name)),
           .where = file_,
           .found = std::string(traversal),
           .expected = "the name of a .safetensors file in the index's directory",
           .help = is_pickle ? kConvertPickles : ""});
    }
    if (!diagnostics.empty()) throw Error(std::move(diagnostics));
  }

  void CheckDuplicates() const {
    std::vector<Diagnostic> diagnostics;
    for (size_t i = 1; i < entries_.size() && diagnostics.size() < kMaxReports; ++i) {
      const Entry &a = entries_[i - 1], &b = entries_[i];
      if (a.tensor != b.tensor) continue;
      diagnostics.push_back({.code = ErrorCode::kIndexDuplicate,
                             .message = fmt::format("the index names tensor \"{}\" twice", EscapeForTerminal(a.tensor)),
                             .where = Where(std::max(a.key_end_byte, b.key_end_byte)),
                             .found = fmt::format("in \"{}\" and in \"{}\"", EscapeForTerminal(a.shard->first),
                                                  EscapeForTerminal(b.shard->first)),
                             .expected = "once: tools disagree on which one counts",
                             .help = {}});
    }
    if (!diagnostics.empty()) throw Error(std::move(diagnostics));
  }

  std::string_view json_;
  const std::string& file_;
  int depth_ = 0;
  Section section_ = Section::kOther;
  bool has_weight_map_ = false, has_metadata_ = false, at_total_size_ = false;
  size_t key_end_byte_ = 0;
  std::vector<Entry> entries_;
  Shards shards_;
  std::optional<double> total_size_;
  std::set<std::string, std::less<>> root_keys_, metadata_keys_;
};

}  // namespace

SafetensorsIndex ParseSafetensorsIndex(std::string_view json, const std::string& file) {
  IndexReader reader(json, file);
  ReadStrictJson(json, ErrorCode::kIndexMalformed, file, [&](const JsonEvent& event) { reader.Handle(event); });
  return reader.Finish();
}

}  // namespace gpumerge
