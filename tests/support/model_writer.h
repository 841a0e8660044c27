// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Tiny models for tests, written on the fly: any tensors, types, shapes, config.json and number of shards. Header-only.
// The values are deterministic, finite and exactly representable in every floating type offered here.
#pragma once

#include "src/base/hash.h"
#include "src/io/safetensors_header.h"

#include "gpumerge/dtype.h"

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

namespace gpumerge::test {

struct TestTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<uint64_t> shape;
  std::string bytes;  // row-major, little endian
};

// A new directory under the temporary directory; removed with everything in it.
class ScratchDir {
 public:
  ScratchDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gpumerge-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = std::filesystem::canonical(pattern).string();
  }
  ~ScratchDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

inline void WriteTextFile(const std::string& path, std::string_view contents) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  if (!file) throw std::runtime_error("cannot write " + path);
}

inline std::string ReadTextFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

inline uint64_t CountElems(const std::vector<uint64_t>& shape) {
  uint64_t n_elems = 1;
  for (uint64_t extent : shape) n_elems *= extent;
  return n_elems;
}

// One value in a floating type of 16 or more bits. The value must be exactly representable in it.
inline void AppendValue(DType dtype, double value, std::string* out) {
  const auto append = [out](auto bits) { out->append(reinterpret_cast<const char*>(&bits), sizeof bits); };
  const float narrow = static_cast<float>(value);
  const uint32_t bits = std::bit_cast<uint32_t>(narrow);
  switch (dtype) {
    case DType::kF64:
      return append(value);
    case DType::kF32:
      return append(narrow);
    case DType::kBF16:
      return append(static_cast<uint16_t>(bits >> 16));
    case DType::kF16: {  // zero or a normal number
      const uint32_t sign = (bits >> 16) & 0x8000u;
      const uint32_t magnitude = bits & 0x7fffffffu;
      const uint32_t half = magnitude == 0 ? 0 : ((magnitude >> 13) - (112u << 10));
      return append(static_cast<uint16_t>(sign | half));
    }
    default:
      throw std::invalid_argument("AppendValue takes F64, F32, F16 and BF16");
  }
}

inline TestTensor ValueTensor(std::string name, DType dtype, std::vector<uint64_t> shape,
                              const std::vector<double>& values) {
  TestTensor tensor{std::move(name), dtype, std::move(shape), {}};
  if (values.size() != CountElems(tensor.shape)) throw std::invalid_argument("shape and values disagree");
  for (double value : values) AppendValue(dtype, value, &tensor.bytes);
  return tensor;
}

// Floating types get values k/64 in [-1, 1); other types get small whole bytes. Both depend on the name and the seed.
inline TestTensor PatternTensor(std::string name, DType dtype, std::vector<uint64_t> shape, uint64_t seed = 0) {
  TestTensor tensor{std::move(name), dtype, std::move(shape), {}};
  const uint64_t n_elems = CountElems(tensor.shape);
  uint64_t state = NameHash(tensor.name) ^ (seed * 0x9e3779b97f4a7c15u);
  for (uint64_t i = 0; i < n_elems; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto step = static_cast<int>((state >> 33) % 128);
    if (IsFloat(dtype) && Info(dtype).bits >= 16) {
      AppendValue(dtype, (step - 64) / 64.0, &tensor.bytes);
    } else {
      tensor.bytes.push_back(static_cast<char>(step & 0x3f));
      tensor.bytes.append(ElementBytes(dtype) - 1, '\0');
    }
  }
  return tensor;
}

inline void WriteSafetensors(const std::string& path, const std::vector<TestTensor>& tensors,
                             const std::vector<std::pair<std::string, std::string>>& metadata = {{"format", "pt"}}) {
  std::vector<HeaderTensor> headers;
  for (const TestTensor& tensor : tensors)
    headers.push_back({tensor.name, tensor.dtype, tensor.shape, 0, tensor.bytes.size()});
  std::string contents = MakeSafetensorsHeader(headers, metadata);
  for (const TestTensor& tensor : tensors) contents += tensor.bytes;
  WriteTextFile(path, contents);
}

// Writes `dir`/config.json (unless config_json is empty) and the tensors, in the order given: model.safetensors, or
// n_shards files with an index, tensor i in shard i * n_shards / tensors.size().
inline void WriteModel(const std::string& dir, const std::vector<TestTensor>& tensors, const std::string& config_json,
                       uint32_t n_shards = 1) {
  std::filesystem::create_directories(dir);
  if (!config_json.empty()) WriteTextFile(dir + "/config.json", config_json);
  if (n_shards == 1) return WriteSafetensors(dir + "/model.safetensors", tensors);

  std::vector<std::vector<TestTensor>> shards(n_shards);
  std::map<std::string, std::string> weight_map;
  uint64_t total_bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const size_t shard = i * n_shards / tensors.size();
    char file_name[64];
    std::snprintf(file_name, sizeof file_name, "model-%05zu-of-%05u.safetensors", shard + 1, n_shards);
    shards[shard].push_back(tensors[i]);
    weight_map[tensors[i].name] = file_name;
    total_bytes += tensors[i].bytes.size();
  }
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    char file_name[64];
    std::snprintf(file_name, sizeof file_name, "/model-%05zu-of-%05u.safetensors", shard + 1, n_shards);
    WriteSafetensors(dir + file_name, shards[shard]);
  }
  std::string index = "{\"metadata\": {\"total_size\": " + std::to_string(total_bytes) + "}, \"weight_map\": {";
  const char* separator = "";
  for (const auto& [name, file_name] : weight_map) {
    index += separator + ("\"" + name + "\": \"" + file_name + "\"");
    separator = ", ";
  }
  WriteTextFile(dir + "/model.safetensors.index.json", index + "}}");
}

// A Llama-like model of `n_layers` layers: embedding, per layer an attention and an MLP matrix and a norm, final norm,
// head. Width 8, vocabulary 16.
struct TinyModel {
  DType dtype = DType::kBF16;
  uint64_t n_layers = 4;
  uint64_t vocab_size = 16;
  bool with_head = true;
  uint64_t seed = 0;
};

inline std::vector<TestTensor> TinyTensors(const TinyModel& model) {
  std::vector<TestTensor> tensors;
  const auto add = [&](std::string name, std::vector<uint64_t> shape) {
    tensors.push_back(PatternTensor(std::move(name), model.dtype, std::move(shape), model.seed));
  };
  add("model.embed_tokens.weight", {model.vocab_size, 8});
  for (uint64_t layer = 0; layer < model.n_layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    add(prefix + "input_layernorm.weight", {8});
    add(prefix + "mlp.up_proj.weight", {12, 8});
    add(prefix + "self_attn.q_proj.weight", {8, 8});
  }
  add("model.norm.weight", {8});
  if (model.with_head) add("lm_head.weight", {model.vocab_size, 8});
  return tensors;
}

inline std::string TinyConfig(const TinyModel& model) {
  return "{\n  \"architectures\": [\n    \"LlamaForCausalLM\"\n  ],\n  \"hidden_size\": 8,\n  \"model_type\": "
         "\"llama\",\n"
         "  \"num_hidden_layers\": " +
         std::to_string(model.n_layers) +
         ",\n  \"rms_norm_eps\": 1e-05,\n  \"tie_word_embeddings\": " + (model.with_head ? "false" : "true") +
         ",\n  \"torch_dtype\": \"" + std::string(Info(model.dtype).torch_name) +
         "\",\n  \"vocab_size\": " + std::to_string(model.vocab_size) + "\n}\n";
}

inline void WriteTinyModel(const std::string& dir, const TinyModel& model, uint32_t n_shards = 1) {
  WriteModel(dir, TinyTensors(model), TinyConfig(model), n_shards);
}

}  // namespace gpumerge::test
