// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Edits of a config.json: the value is there afterwards, and every other value keeps its text.
#include "src/io/json_document.h"
#include "tests/fuzz/fuzz_target.h"

#include <map>
#include <optional>
#include <vector>

namespace gpumerge::test {
namespace {

using Path = std::vector<std::string>;

std::map<std::string, std::string> Values(const JsonDocument& document, const Path& object) {
  std::map<std::string, std::string> values;
  for (const std::string& key : document.Keys(object)) {
    Path path = object;
    path.push_back(key);
    const auto raw = document.GetRaw(path);
    Promise(raw.has_value(), "a key that is listed has a value");
    Promise(values.emplace(key, *raw).second, "a key is listed once");
    document.GetUint(path);
    document.GetString(path);
    document.GetArray(path);
  }
  return values;
}

void CheckEdit(const std::string& text, const Path& path, const std::string& value) {
  JsonDocument document(text, "config.json");
  const Path parent(path.begin(), path.end() - 1);
  auto values = Values(document, parent);
  const std::vector<std::string> keys = document.Keys(parent);
  if (!Accepts([&] { document.SetRaw(path, value); })) {
    Promise(document.text() == text, "an edit that is refused changes nothing");
    return;
  }
  Promise(document.GetRaw(path) == value, "the value is there");
  values[path.back()] = value;
  std::optional<JsonDocument> again;
  Promise(Accepts([&] { again.emplace(document.text(), "config.json"); }), "an edited document can be read");
  Promise(Values(*again, parent) == values, "all other values are as they were");
  Promise(again->GetRaw(path) == value, "the value is read again");
  const std::vector<std::string> new_keys = again->Keys(parent);
  Promise(new_keys.size() >= keys.size() && std::equal(keys.begin(), keys.end(), new_keys.begin()),
          "keys keep their order");
}

}  // namespace
}  // namespace gpumerge::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gpumerge;        // NOLINT
  using namespace gpumerge::test;  // NOLINT
  const std::string text(AsText(data, size));
  if (!Accepts([&] { Promise(JsonDocument(text, "config.json").text() == text, "reading changes nothing"); })) return 0;
  CheckEdit(text, {"num_hidden_layers"}, "7");
  CheckEdit(text, {"torch_dtype"}, "\"float16\"");
  CheckEdit(text, {"text_config", "vocab_size"}, "[1, 2]");
  CheckEdit(text, {"a \"key\""}, "{\"b\": null}");
  return 0;
}
