// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The header of a safetensors file. Input: 8 bytes, the header's JSON. The bytes are taken as a file as they are, and
// once more with the right length and (from the first two bytes) some size of data, so that mutations reach the JSON.
#include "src/io/safetensors_header.h"
#include "tests/fuzz/fuzz_target.h"

#include <set>

namespace gpumerge::test {
namespace {

void CheckHeader(std::string_view json, uint64_t file_bytes) {
  SafetensorsHeader header;
  if (!Accepts([&] { header = ParseSafetensorsHeader(json, file_bytes, "file"); })) return;
  Promise(header.data_begin_bytes == 8 + json.size(), "data begin after the header");
  uint64_t end = 0;
  std::set<std::string> names;
  for (const HeaderTensor& tensor : header.tensors) {
    Promise(tensor.offset_bytes == end, "tensors follow each other without a gap");
    end += tensor.size_bytes;
    Promise(!tensor.name.empty() && tensor.name.size() <= 65536 && tensor.shape.size() <= 32, "limits hold");
    Promise(names.insert(tensor.name).second, "no name is there twice");
    unsigned __int128 bits = Info(tensor.dtype).bits;
    for (const uint64_t extent : tensor.shape)
      bits = extent == 0 ? 0 : bits > (__uint128_t{1} << 64) ? bits : bits * extent;
    Promise(bits == __uint128_t{tensor.size_bytes} * 8, "a tensor has the size of its shape");
  }
  Promise(header.data_begin_bytes + end == file_bytes, "the data end where the file ends");

  const std::string written = MakeSafetensorsHeader(header.tensors, header.metadata);
  const std::string_view again_json = std::string_view(written).substr(8);
  SafetensorsHeader again;
  const uint64_t again_bytes = written.size() + end;
  Promise(ParseHeaderLength(std::string_view(written).substr(0, 8), again_bytes, "file") == again_json.size(),
          "a written header has its length");
  Promise(Accepts([&] { again = ParseSafetensorsHeader(again_json, again_bytes, "file"); }), "what is written is read");
  Promise(again.tensors.size() == header.tensors.size() && again.metadata == header.metadata, "the same comes back");
  for (size_t i = 0; i < again.tensors.size(); ++i) {
    const HeaderTensor &a = again.tensors[i], &b = header.tensors[i];
    Promise(a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && a.offset_bytes == b.offset_bytes,
            "the same tensor comes back");
  }
}

}  // namespace
}  // namespace gpumerge::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gpumerge;        // NOLINT
  using namespace gpumerge::test;  // NOLINT
  const std::string_view file = AsText(data, size);
  uint64_t length = 0;
  if (Accepts([&] { length = ParseHeaderLength(file.substr(0, 8), file.size(), "file"); })) {
    Promise(length <= kMaxHeaderBytes && 8 + length <= file.size(), "an accepted length fits the file");
    CheckHeader(file.substr(8, static_cast<size_t>(length)), file.size());
  }
  if (size < 8) return 0;
  const uint64_t data_bytes = data[0] + (uint64_t{data[1]} << 8);
  CheckHeader(file.substr(8), file.size() + data_bytes);
  return 0;
}
