// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// model.safetensors.index.json: what is accepted names no file outside the model's directory.
#include "src/io/safetensors_index.h"
#include "tests/fuzz/fuzz_target.h"

#include <algorithm>

namespace gpumerge::test {
namespace {

bool IsContained(const std::string& path) {
  if (path.empty() || path.front() == '/' || path.find('\\') != path.npos || path.find('\0') != path.npos) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace
}  // namespace gpumerge::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gpumerge;        // NOLINT
  using namespace gpumerge::test;  // NOLINT
  SafetensorsIndex index;
  if (!Accepts([&] { index = ParseSafetensorsIndex(AsText(data, size), "index"); })) return 0;
  for (const std::string& shard : index.shards) Promise(IsContained(shard), "a shard lies below the index");
  for (size_t i = 0; i < index.entries.size(); ++i) {
    Promise(index.entries[i].shard < index.shards.size(), "an entry has a shard");
    Promise(i == 0 || index.entries[i - 1].tensor < index.entries[i].tensor, "names are sorted and unique");
  }
  Promise(std::is_sorted(index.shards.begin(), index.shards.end()), "shards are in order");
  return 0;
}
