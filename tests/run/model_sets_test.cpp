// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whole merges of random models by random methods: the tensors' bytes do not depend on how the models are cut into
// files and stored, on the machine, or on interruptions; merges of equal models are the model.
#include "src/io/safetensors_header.h"
#include "tests/support/model_writer.h"

#include "gpumerge/merge.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>

namespace gpumerge::test {
namespace {

constexpr const char* kConfig = "{\"model_type\": \"tiny\", \"num_hidden_layers\": 1}\n";
using Tensors = std::map<std::string, std::string>;

// A method, the models' number and seeds, and the tensors that all of them have.
struct Set {
  std::string method;
  bool has_base = false;
  uint64_t n_models = 1;
  uint64_t seed = 0;
  DType dtype = DType::kBF16;
  std::vector<std::vector<uint64_t>> shapes;
};

std::ostream& operator<<(std::ostream& out, const Set& set) {
  out << set.method << ", " << set.n_models << " models, seed " << set.seed << ", tensors";
  for (const auto& shape : set.shapes) {
    out << " [";
    for (const uint64_t extent : shape) out << extent << ' ';
    out << "]";
  }
  return out;
}

rc::Gen<Set> AnySet() {
  return rc::gen::exec([] {
    Set set;
    set.method = *rc::gen::element<std::string>("linear", "passthrough", "slerp", "karcher", "task_arithmetic", "ties",
                                                "dare_ties", "dare_linear", "breadcrumbs", "breadcrumbs_ties", "della",
                                                "della_linear", "model_stock", "sce");
    const bool is_plain = set.method == "linear" || set.method == "passthrough" || set.method == "karcher";
    set.has_base = !is_plain && set.method != "slerp";
    set.n_models = set.method == "passthrough" ? 1 : set.method == "slerp" ? 2 : *rc::gen::inRange<uint64_t>(2, 5);
    set.seed = *rc::gen::inRange<uint64_t>(0, 1000);
    set.dtype = *rc::gen::element(DType::kBF16, DType::kF16);
    const auto extent = rc::gen::element<uint64_t>(0, 1, 2, 7, 13, 64, 257);
    const size_t n_tensors = *rc::gen::inRange<size_t>(1, 7);
    for (size_t i = 0; i < n_tensors; ++i) {
      set.shapes.push_back(*rc::gen::container<std::vector<uint64_t>>(*rc::gen::inRange<size_t>(1, 3), extent));
      if (*rc::gen::inRange(0, 4) == 0) set.shapes.back().insert(set.shapes.back().begin(), 3);
    }
    // A model without any element is refused.
    set.shapes.push_back({5});
    return set;
  });
}

TestTensor Widened(const TestTensor& tensor) {
  TestTensor wide{tensor.name, DType::kF32, tensor.shape, {}};
  for (size_t i = 0; i < tensor.bytes.size(); i += 2) {
    const auto bits = static_cast<uint32_t>(static_cast<unsigned char>(tensor.bytes[i]) |
                                            static_cast<unsigned char>(tensor.bytes[i + 1]) << 8);
    const uint32_t magnitude = bits & 0x7fffu;
    const uint32_t f16 = magnitude == 0 ? 0 : (magnitude << 13) + (112u << 23);  // zero or a normal number
    const uint32_t f32 = tensor.dtype == DType::kBF16 ? bits << 16 : (bits & 0x8000u) << 16 | f16;
    wide.bytes.append(reinterpret_cast<const char*>(&f32), sizeof f32);
  }
  return wide;
}

// How the same models can be stored.
struct Storage {
  uint32_t n_shards = 1;
  uint64_t shuffle = 0;  // 0 = in order
  bool is_wide = false;
};

class Place {
 public:
  explicit Place(Set set) : set_(std::move(set)) {}

  std::vector<std::string> Models() const {
    std::vector<std::string> names;
    for (uint64_t m = 0; m < set_.n_models; ++m) names.push_back("m" + std::to_string(m));
    return names;
  }

  // copies: all models are the base's.
  void Write(const Storage& storage, bool copies = false) {
    uint64_t seed = 0;
    std::vector<std::string> names = Models();
    names.insert(names.begin(), "base");
    for (const std::string& name : names) {
      std::vector<TestTensor> tensors;
      for (size_t i = 0; i < set_.shapes.size(); ++i) {
        const std::string tensor = "x." + std::to_string(i) + ".weight";
        tensors.push_back(PatternTensor(tensor, set_.dtype, set_.shapes[i], copies ? 1 : 1 + seed));
        if (storage.is_wide) tensors.back() = Widened(tensors.back());
      }
      std::mt19937_64 random(storage.shuffle + seed++);
      if (storage.shuffle != 0) std::shuffle(tensors.begin(), tensors.end(), random);
      std::filesystem::remove_all(scratch_ / name);
      WriteModel(scratch_ / name, tensors, kConfig, std::min(storage.n_shards, static_cast<uint32_t>(tensors.size())));
    }
  }

  std::string Recipe(const std::string& shard_size) const {
    std::string text = "merge_method: " + set_.method + "\nseed: " + std::to_string(set_.seed) +
                       "\nshard_size: " + shard_size + "\ndtype: " + std::string(Info(set_.dtype).torch_name) + "\n";
    if (set_.has_base) text += "base_model: " + (scratch_ / "base") + "\n";
    if (set_.method == "slerp") text += "base_model: " + (scratch_ / "m0") + "\nparameters: {t: 0.3}\n";
    const bool is_weighted = set_.has_base && set_.method != "model_stock" && set_.method != "sce";
    text += "models:\n";
    for (const std::string& model : Models()) {
      text += "  - model: " + (scratch_ / model) + "\n";
      if (set_.method == "linear" || is_weighted) text += "    parameters: {weight: 0.5}\n";
    }
    const bool is_sparse = is_weighted && set_.method != "task_arithmetic";
    if (is_sparse) text += "parameters: {density: 0.5}\n";
    return text;
  }

  // interrupt_after: tensors after which the run is stopped, and run again.
  Tensors Merge(const RunOptions& options, const std::string& shard_size = "5G", uint64_t interrupt_after = 0) {
    std::filesystem::remove_all(scratch_ / "out");
    std::vector<Diagnostic> warnings;
    PlanOptions plan_options;
    plan_options.output_dir = scratch_ / "out";
    const Plan plan = PlanMerge(ParseConfig(Recipe(shard_size), "recipe.yaml", &warnings), plan_options);
    if (interrupt_after > 0) {
      RunOptions stopped = options;
      stopped.on_progress = [&](const Progress& progress) { return progress.tensors_done < interrupt_after; };
      if (!Run(plan, stopped)) return Read();
    }
    const std::optional<ErrorCode> refused = Run(plan, options);
    // Some methods have no result for some tensors, e.g. models that are opposite to each other.
    return refused ? Tensors{{"refused", std::string(Info(*refused).code)}} : Read();
  }

  static std::optional<ErrorCode> Run(const Plan& plan, const RunOptions& options) {
    try {
      RunMerge(plan, options);
      return std::nullopt;
    } catch (const Error& error) {
      return error.code();
    }
  }

  Tensors Read(const std::string& model = "out") const {
    Tensors tensors;
    for (const auto& entry : std::filesystem::directory_iterator(scratch_ / model)) {
      if (entry.path().extension() != ".safetensors") continue;
      const std::string file = ReadTextFile(entry.path());
      const uint64_t length = ParseHeaderLength(std::string_view(file).substr(0, 8), file.size(), entry.path());
      const SafetensorsHeader header = ParseSafetensorsHeader(
          std::string_view(file).substr(8, static_cast<size_t>(length)), file.size(), entry.path());
      for (const HeaderTensor& tensor : header.tensors)
        tensors[tensor.name] = std::string(Info(tensor.dtype).torch_name) +
                               file.substr(header.data_begin_bytes + tensor.offset_bytes, tensor.size_bytes);
    }
    return tensors;
  }

 private:
  const Set set_;
  ScratchDir scratch_;
};

RunOptions Options(uint32_t threads, uint64_t chunk_elems) {
  RunOptions options;
  options.device = Device::kCpu;
  options.threads = threads;
  options.sync = Sync::kNone;
  options.max_chunk_elems = chunk_elems;
  options.max_batch_bytes = 1;
  return options;
}

TEST(ModelSets, BytesDoNotDependOnStorageMachineOrInterruptions) {
  EXPECT_TRUE(rc::check([] {
    Place place(*AnySet());
    place.Write({});
    const Tensors merged = place.Merge(Options(1, 0));
    place.Write({.n_shards = *rc::gen::inRange<uint32_t>(1, 4),
                 .shuffle = *rc::gen::inRange<uint64_t>(0, 100),
                 .is_wide = *rc::gen::arbitrary<bool>()});
    const RunOptions options = Options(*rc::gen::inRange<uint32_t>(1, 5), *rc::gen::element<uint64_t>(0, 1, 5000));
    const std::string shard_size = *rc::gen::element<std::string>("5G", "1000", "20000");
    RC_ASSERT(place.Merge(options, shard_size, *rc::gen::inRange<uint64_t>(0, 5)) == merged);
  }));
}

TEST(ModelSets, MergesOfTheBaseWithItselfAreTheBase) {
  EXPECT_TRUE(rc::check([] {
    const Set set = *AnySet();
    // Rounding: slerp up to an ulp, linear where the weights' sum is no power of two.
    RC_PRE(set.has_base || set.method == "passthrough" || (set.method == "linear" && set.n_models != 3));
    Place place(set);
    place.Write({}, true);
    RC_ASSERT(place.Merge(Options(2, 0)) == place.Read("base"));
  }));
}

}  // namespace
}  // namespace gpumerge::test
