// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads the header's JSON into a tensor table in one pass: a state machine over JSON events, without recursion and
// without a document tree. Whether the table fits the file is safetensors_layout.cpp's business.
#include "src/io/safetensors_header.h"

#include "src/base/text.h"
#include "src/io/safetensors_layout.h"
#include "src/io/strict_json.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace gpumerge {
namespace {

constexpr size_t kMaxTensors = 2'000'000;
constexpr size_t kMaxRank = 32;
constexpr size_t kMaxNameBytes = size_t{64} << 10;
// Far more than the metadata of any trainer; it is kept as long as the model is open.
constexpr size_t kMaxMetadataEntries = 100'000;
constexpr size_t kMaxMetadataBytes = size_t{16} << 20;
constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::array<std::string_view, 3> kFields{"dtype", "shape", "data_offsets"};
constexpr size_t kNoField = kFields.size();

std::string FieldList() { return fmt::format("{}", fmt::join(kFields, ", ")); }

class HeaderReader {
 public:
  HeaderReader(std::string_view json, const std::string& file) : json_(json), file_(file) {
    // A tensor needs a brace, so this is enough and keeps the table from being copied as it grows.
    const auto n_braces = static_cast<size_t>(std::count(json.begin(), json.end(), '{'));
    header_.tensors.reserve(std::min(n_braces, kMaxTensors));
    key_ends_.reserve(std::min(n_braces, kMaxTensors));
  }

  void Handle(const JsonEvent& event) {
    switch (level_) {
      case Level::kOutside:
        return InNothing(event);
      case Level::kRoot:
        return InRoot(event);
      case Level::kMetadata:
        return InMetadata(event);
      case Level::kTensor:
        return InTensor(event);
      case Level::kNumbers:
        return InNumbers(event);
    }
  }

  SafetensorsHeader Finish() {
    CheckDuplicateTensors();
    CheckDuplicateMetadata();
    return std::move(header_);
  }

 private:
  // What the next event stands in. Below kRoot there are: __metadata__, a tensor's fields, a list of numbers in them.
  enum class Level : uint8_t { kOutside, kRoot, kMetadata, kTensor, kNumbers };

  std::string Where(size_t key_end_byte) const {
    return fmt::format("{} (header byte {})", file_, JsonStringBegin(json_, key_end_byte));
  }
  std::string Tensor() const { return fmt::format("tensor \"{}\"", EscapeForTerminal(header_.tensors.back().name)); }

  [[noreturn]] void Fail(ErrorCode code, std::string message, std::string found, std::string expected) const {
    throw Error({.code = code,
                 .message = std::move(message),
                 .where = Where(key_end_byte_),
                 .found = std::move(found),
                 .expected = std::move(expected),
                 .help = code == ErrorCode::kResLimit ? "no known tool writes such a file; get it from a trusted source"
                                                      : "the file is damaged or not safetensors; get it again"});
  }

  void InNothing(const JsonEvent& event) {
    if (event.kind != JsonKind::kBeginObject) Fail(ErrorCode::kStJson, "the header is not a JSON object", {}, "{...}");
    level_ = Level::kRoot;
  }

  void InRoot(const JsonEvent& event) {
    switch (event.kind) {
      case JsonKind::kKey:
        return BeginEntry(event);
      case JsonKind::kEndObject:
        level_ = Level::kOutside;
        return;
      case JsonKind::kBeginObject:
        level_ = entry_is_metadata_ ? Level::kMetadata : Level::kTensor;
        return;
      default:
        if (!entry_is_metadata_)
          Fail(ErrorCode::kStField, Tensor() + " is not described by an object", {}, "{" + FieldList() + "}");
        if (event.kind != JsonKind::kNull) FailMetadata();
    }
  }

  [[noreturn]] void FailMetadata() const {
    Fail(ErrorCode::kStMetadata, "__metadata__ is not a map from strings to strings", {}, "{\"key\": \"text\"}");
  }

  void BeginEntry(const JsonEvent& event) {
    key_end_byte_ = event.end_byte;
    entry_is_metadata_ = event.text == kMetadataKey;
    if (entry_is_metadata_) {
      if (metadata_key_end_)
        Fail(ErrorCode::kStDuplicate, "the header has the key \"__metadata__\" twice",
             fmt::format("again; first at header byte {}", JsonStringBegin(json_, *metadata_key_end_)), "once");
      metadata_key_end_ = event.end_byte;
      return;
    }
    if (event.text.empty()) Fail(ErrorCode::kStName, "a tensor has an empty name", {}, {});
    if (event.text.size() > kMaxNameBytes)
      Fail(ErrorCode::kResLimit, fmt::format("tensor \"{}\": the name is too long", EscapeForTerminal(event.text)),
           fmt::format("{} bytes", event.text.size()), fmt::format("at most {}", kMaxNameBytes));
    if (header_.tensors.size() == kMaxTensors)
      Fail(ErrorCode::kResLimit, "too many tensors in one file", {}, fmt::format("at most {}", kMaxTensors));
    header_.tensors.emplace_back().name = event.text;
    key_ends_.push_back(static_cast<uint32_t>(event.end_byte));
    seen_ = {};
    field_ = kNoField;
  }

  void InMetadata(const JsonEvent& event) {
    switch (event.kind) {
      case JsonKind::kKey:
        key_end_byte_ = event.end_byte;
        CountMetadata(event.text.size());
        if (header_.metadata.size() == kMaxMetadataEntries)
          Fail(ErrorCode::kResLimit, "too many entries in __metadata__", {},
               fmt::format("at most {}", kMaxMetadataEntries));
        header_.metadata.emplace_back(event.text, std::string());
        metadata_ends_.push_back(static_cast<uint32_t>(event.end_byte));
        return;
      case JsonKind::kString:
        CountMetadata(event.text.size());
        header_.metadata.back().second = event.text;
        return;
      case JsonKind::kEndObject:
        level_ = Level::kRoot;
        return;
      default:
        FailMetadata();
    }
  }

  void CountMetadata(size_t bytes) {
    metadata_bytes_ += bytes;
    if (metadata_bytes_ > kMaxMetadataBytes)
      Fail(ErrorCode::kResLimit, "too much text in __metadata__", {},
           fmt::format("at most {} bytes", kMaxMetadataBytes));
  }

  void InTensor(const JsonEvent& event) {
    switch (event.kind) {
      case JsonKind::kKey:
        return BeginField(event);
      case JsonKind::kEndObject:
        return EndTensor();
      case JsonKind::kString:
        if (field_ != 0) FailField();
        return SetDType(event.text);
      case JsonKind::kBeginArray:
        if (field_ == 0) FailField();
        numbers_.clear();
        level_ = Level::kNumbers;
        return;
      default:
        FailField();
    }
  }

  [[noreturn]] void FailField() const {
    constexpr std::array<std::string_view, 3> kExpected{"a type name such as \"BF16\"", "a list of whole numbers",
                                                        "a list of two whole numbers"};
    Fail(ErrorCode::kStField, fmt::format("{}: {} is malformed", Tensor(), kFields[field_]), {},
         std::string(kExpected[field_]));
  }

  void BeginField(const JsonEvent& event) {
    field_ = static_cast<size_t>(std::find(kFields.begin(), kFields.end(), event.text) - kFields.begin());
    if (field_ == kNoField)
      Fail(ErrorCode::kStField, Tensor() + " has a field that the format does not know",
           "\"" + EscapeForTerminal(event.text) + "\"", FieldList());
    if (seen_[field_])
      Fail(ErrorCode::kStDuplicate, fmt::format("{} has the field \"{}\" twice", Tensor(), event.text),
           fmt::format("again at header byte {}", JsonStringBegin(json_, event.end_byte)), "once");
    seen_[field_] = true;
  }

  void SetDType(std::string_view text) {
    const std::optional<DType> dtype = ParseSafetensorsDType(text);
    if (!dtype)
      Fail(ErrorCode::kStDType, Tensor() + " has an unknown element type", "\"" + EscapeForTerminal(text) + "\"",
           "one of the safetensors types, e.g. \"BF16\" (upper case)");
    header_.tensors.back().dtype = *dtype;
  }

  void InNumbers(const JsonEvent& event) {
    switch (event.kind) {
      case JsonKind::kUnsigned:
        if (numbers_.size() == kMaxRank)
          Fail(ErrorCode::kResLimit, fmt::format("{}: {} is too long", Tensor(), kFields[field_]), {},
               fmt::format("at most {} numbers", kMaxRank));
        numbers_.push_back(event.number);
        return;
      case JsonKind::kEndArray:
        return EndNumbers();
      case JsonKind::kNumber: {
        const bool is_too_large =
            std::all_of(event.text.begin(), event.text.end(), [](char c) { return c >= '0' && c <= '9'; });
        Fail(is_too_large ? ErrorCode::kStOverflow : ErrorCode::kStField,
             fmt::format("{}: a number in {} cannot be used", Tensor(), kFields[field_]), EscapeForTerminal(event.text),
             "a whole number in digits, 0 to 2^64 - 1");
      }
      default:
        FailField();
    }
  }

  void EndNumbers() {
    level_ = Level::kTensor;
    HeaderTensor& tensor = header_.tensors.back();
    if (kFields[field_] == "shape") {
      tensor.shape.assign(numbers_.begin(), numbers_.end());
      return;
    }
    if (numbers_.size() != 2) FailField();
    tensor.offset_bytes = numbers_[0];
    if (numbers_[1] < numbers_[0])
      Fail(ErrorCode::kStSize, Tensor() + ": data_offsets end before they begin",
           fmt::format("[{}, {}]", numbers_[0], numbers_[1]), "begin <= end");
    tensor.size_bytes = numbers_[1] - numbers_[0];
  }

  void EndTensor() {
    for (size_t i = 0; i < kFields.size(); ++i)
      if (!seen_[i])
        Fail(ErrorCode::kStField, fmt::format("{} lacks the field \"{}\"", Tensor(), kFields[i]), {}, FieldList());
    level_ = Level::kRoot;
  }

  // Sorting numbers instead of keeping a set of names: a hostile header may have two million of them.
  template <class NameOf>
  static std::optional<std::pair<size_t, size_t>> FindDuplicate(size_t n_names, const NameOf& name_of) {
    std::vector<uint32_t> order(n_names);
    for (uint32_t i = 0; i < n_names; ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      const int by_name = name_of(a).compare(name_of(b));
      return by_name != 0 ? by_name < 0 : a < b;
    });
    const auto found = std::adjacent_find(order.begin(), order.end(),
                                          [&](uint32_t a, uint32_t b) { return name_of(a) == name_of(b); });
    if (found == order.end()) return std::nullopt;
    return std::pair<size_t, size_t>(*found, *(found + 1));
  }

  void CheckDuplicateTensors() {
    const auto name_of = [&](size_t i) -> const std::string& { return header_.tensors[i].name; };
    if (const auto twice = FindDuplicate(header_.tensors.size(), name_of))
      FailDuplicate("tensor", name_of(twice->first), key_ends_[twice->first], key_ends_[twice->second]);
  }

  void CheckDuplicateMetadata() {
    const auto key_of = [&](size_t i) -> const std::string& { return header_.metadata[i].first; };
    if (const auto twice = FindDuplicate(header_.metadata.size(), key_of))
      FailDuplicate("__metadata__ key", key_of(twice->first), metadata_ends_[twice->first],
                    metadata_ends_[twice->second]);
  }

  void FailDuplicate(std::string_view what, const std::string& name, size_t first_end, size_t second_end) {
    key_end_byte_ = second_end;
    Fail(
        ErrorCode::kStDuplicate, fmt::format("{} \"{}\" is in the header twice", what, EscapeForTerminal(name)),
        fmt::format("at header bytes {} and {}", JsonStringBegin(json_, first_end), JsonStringBegin(json_, second_end)),
        "once: tools disagree on which one counts");
  }

  std::string_view json_;
  const std::string& file_;
  SafetensorsHeader header_;
  std::vector<uint32_t> key_ends_, metadata_ends_;  // parallel to tensors and metadata, for messages
  Level level_ = Level::kOutside;
  bool entry_is_metadata_ = false;
  size_t key_end_byte_ = 1;  // of the entry being read
  std::optional<size_t> metadata_key_end_;
  size_t metadata_bytes_ = 0;
  std::array<bool, kFields.size()> seen_{};
  size_t field_ = kNoField;  // index in kFields
  std::vector<uint64_t> numbers_;
};

}  // namespace

SafetensorsHeader ParseSafetensorsHeader(std::string_view json, uint64_t file_size_bytes, const std::string& file) {
  HeaderReader reader(json, file);
  ReadStrictJson(json, ErrorCode::kStJson, file, [&](const JsonEvent& event) { reader.Handle(event); });
  SafetensorsHeader header = reader.Finish();
  header.data_begin_bytes = kHeaderLengthBytes + json.size();
  CheckLayout(header, file_size_bytes, file);
  return header;
}

}  // namespace gpumerge
