// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A line is accepted when its hash is right and it is, byte for byte, what would be written for what it says. That
// refuses everything odd (other spellings, keys given twice, unknown keys) without a rule for each.
#include "src/io/journal.h"

#include "src/base/hash.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <bit>
#include <utility>

namespace gpumerge {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "gpumerge journal 1";
constexpr size_t kHashDigits = 16;

// Paths can have any bytes; tensors' names are UTF-8.
std::string Text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string Line(const Json& json) {
  const std::string text = Text(json);
  return fmt::format("{:016x} {}\n", LineHash(text), text);
}

Json ToJson(const JournalHeader& header) {
  Json inputs = Json::array();
  for (const JournalInput& input : header.inputs)
    inputs.push_back(Json{{"path", input.path},
                          {"size_bytes", input.size_bytes},
                          {"mtime_ns", input.mtime_ns},
                          {"header", input.header_hash}});
  return {{"format", kFormat},
          {"version", header.version},
          {"output", {{"tensors", header.n_tensors}, {"shards", header.n_shards}, {"size_bytes", header.size_bytes}}},
          {"plan", header.plan},
          {"recipe", header.recipe},
          {"inputs", std::move(inputs)}};
}

// The sums are doubles, kept as their bits: what is read is what was written.
Json ToJson(const JournalRecord& record) {
  return {{"tensor", record.tensor},
          {"stage", record.stage},
          {"shard", record.shard},
          {"offset", record.offset_bytes},
          {"size_bytes", record.size_bytes},
          {"hash", record.hash},
          {"inputs", record.inputs},
          {"overflowed", record.n_overflowed},
          {"nonfinite", record.n_nonfinite},
          {"differing", record.n_differing},
          {"lerp", record.used_lerp},
          {"loss", {std::bit_cast<uint64_t>(record.error_squares), std::bit_cast<uint64_t>(record.change_squares)}}};
}

// These throw Json::exception for what has another form.
JournalHeader HeaderFrom(const Json& json) {
  JournalHeader header;
  header.version = json.at("version");
  const Json& output = json.at("output");
  header.n_tensors = output.at("tensors");
  header.n_shards = output.at("shards");
  header.size_bytes = output.at("size_bytes");
  header.plan = json.at("plan");
  header.recipe = json.at("recipe");
  for (const Json& input : json.at("inputs"))
    header.inputs.push_back({.path = input.at("path"),
                             .size_bytes = input.at("size_bytes"),
                             .mtime_ns = input.at("mtime_ns"),
                             .header_hash = input.at("header")});
  return header;
}

JournalRecord RecordFrom(const Json& json) {
  JournalRecord record;
  record.tensor = json.at("tensor");
  record.stage = json.at("stage");
  record.shard = json.at("shard");
  record.offset_bytes = json.at("offset");
  record.size_bytes = json.at("size_bytes");
  record.hash = json.at("hash");
  record.inputs = json.at("inputs").get<std::vector<std::string>>();
  record.n_overflowed = json.at("overflowed");
  record.n_nonfinite = json.at("nonfinite").get<std::vector<uint64_t>>();
  record.n_differing = json.at("differing");
  record.used_lerp = json.at("lerp");
  record.error_squares = std::bit_cast<double>(json.at("loss").at(0).get<uint64_t>());
  record.change_squares = std::bit_cast<double>(json.at("loss").at(1).get<uint64_t>());
  return record;
}

// line: with its end.
template <class Value, class Read>
std::optional<Value> ParseLine(std::string_view line, const Read& read) {
  if (line.size() < kHashDigits + 2 || line.back() != '\n') return std::nullopt;
  const std::string_view text = line.substr(kHashDigits + 1, line.size() - kHashDigits - 2);
  // The hash first: the rest is not looked at in a damaged line.
  if (line.substr(0, kHashDigits + 1) != fmt::format("{:016x} ", LineHash(text))) return std::nullopt;
  // There are only whole numbers in it: others could be out of range for those that they are read as.
  const auto is_kept = [](int, Json::parse_event_t event, const Json& parsed) {
    return event != Json::parse_event_t::value || !parsed.is_number_float();
  };
  const Json json = Json::parse(text, is_kept, false);
  if (json.is_discarded()) return std::nullopt;
  try {
    std::optional<Value> value = read(json);
    if (JournalLine(*value) != line) value.reset();
    return value;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end == std::string_view::npos ? text->size() : end + 1);
  text->remove_prefix(line.size());
  return line;
}

std::optional<JournalDifference> Compare(std::string field, const std::string& was, const std::string& is) {
  if (was == is) return std::nullopt;
  return JournalDifference{std::move(field), was, is};
}

std::optional<JournalDifference> Compare(std::string field, uint64_t was, uint64_t is) {
  return Compare(std::move(field), std::to_string(was), std::to_string(is));
}

std::optional<JournalDifference> FirstDifference(const JournalInput& was, const JournalInput& is, size_t number) {
  const std::string name = fmt::format("inputs[{}].", number);
  if (auto found = Compare(name + "path", was.path, is.path)) return found;
  const auto of_file = [&](std::string_view what) { return fmt::format("{}{} ({})", name, what, is.path); };
  if (auto found = Compare(of_file("size_bytes"), was.size_bytes, is.size_bytes)) return found;
  if (auto found = Compare(of_file("mtime_ns"), std::to_string(was.mtime_ns), std::to_string(is.mtime_ns)))
    return found;
  return Compare(of_file("header"), was.header_hash, is.header_hash);
}

}  // namespace

std::string JournalLine(const JournalHeader& header) { return Line(ToJson(header)); }
std::string JournalLine(const JournalRecord& record) { return Line(ToJson(record)); }

std::optional<Journal> ParseJournal(std::string_view text) {
  std::optional<JournalHeader> header = ParseLine<JournalHeader>(TakeLine(&text), HeaderFrom);
  if (!header) return std::nullopt;
  Journal journal;
  journal.header = std::move(*header);
  while (!text.empty()) {
    std::optional<JournalRecord> record = ParseLine<JournalRecord>(TakeLine(&text), RecordFrom);
    journal.has_bad_end = !record;
    if (!record) break;
    journal.records.push_back(std::move(*record));
  }
  return journal;
}

std::optional<JournalDifference> FirstDifference(const JournalHeader& was, const JournalHeader& given) {
  const JournalHeader is = HeaderFrom(Json::parse(Text(ToJson(given))));  // paths as a journal has them
  if (auto found = Compare("version", was.version, is.version)) return found;
  if (auto found = Compare("inputs", was.inputs.size(), is.inputs.size())) return found;
  for (size_t i = 0; i < is.inputs.size(); ++i)
    if (auto found = FirstDifference(was.inputs[i], is.inputs[i], i)) return found;
  if (auto found = Compare("recipe", was.recipe, is.recipe)) return found;
  if (auto found = Compare("output.tensors", was.n_tensors, is.n_tensors)) return found;
  if (auto found = Compare("output.shards", was.n_shards, is.n_shards)) return found;
  if (auto found = Compare("output.size_bytes", was.size_bytes, is.size_bytes)) return found;
  return Compare("plan", was.plan, is.plan);
}

}  // namespace gpumerge
