// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `trim_scope: model`: exactly k elements of the whole model are kept, chosen as a sort of all of them would.
#include "src/run/model_trim.h"

#include "tests/run/stages_fixture.h"
#include "tests/support/errors.h"

#include <gmock/gmock.h>

#include <bit>
#include <fstream>
#include <tuple>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

class ModelTrimTest : public StagesFixture {
 protected:
  std::string Ties(const std::string& more) const {
    return "merge_method: ties\nbase_model: $D/base\nmodels:\n  - {model: $D/a, parameters: {density: 0.21}}\n"
           "  - {model: $D/b, parameters: {density: 0.6}}\n  - {model: $D/c, parameters: {density: 1}}\n"
           "parameters: {weight: 0.5, trim_scope: model" +
           more + "}\n";
  }
  std::string TiesRecipe(const std::string& more) const { return WithPlaces(Ties(more), {{"D", scratch.path()}}); }

  // A bfloat16 input as floats.
  static std::vector<float> Read(const Plan& plan, const PlanItem& item, size_t input) {
    std::ifstream file(plan.files[item.inputs[input].file].path, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(item.inputs[input].offset_bytes));
    std::vector<uint16_t> bits(item.job.n_elems);
    file.read(reinterpret_cast<char*>(bits.data()), static_cast<std::streamsize>(2 * bits.size()));
    std::vector<float> values;
    for (const uint16_t h : bits) values.push_back(std::bit_cast<float>(uint32_t{h} << 16));
    return values;
  }

  struct Key {
    uint32_t bits;
    const PlanItem* item;
    uint64_t index;
    bool is_kept;
  };
  // Every element of model m with what its selection says, largest first, then by name and index.
  static std::vector<Key> SortedKeys(const Plan& plan, uint32_t m) {
    std::vector<Key> keys;
    for (const PlanItem& item : plan.items) {
      if (item.action != PlanAction::kMerge) continue;
      const std::vector<float> base = Read(plan, item, 0), model = Read(plan, item, m + 1);
      const Selection& selection = item.job.model_selections.at(m);
      for (uint64_t i = 0; i < item.job.n_elems; ++i) {
        const uint32_t bits = std::bit_cast<uint32_t>(model[i] - base[i]) & 0x7fffffff;
        const bool kept =
            bits > selection.threshold_bits || (bits == selection.threshold_bits && i < selection.tie_end);
        keys.push_back({bits, &item, i, kept});
      }
    }
    std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
      return std::tuple(b.bits, a.item->name, a.index) < std::tuple(a.bits, b.item->name, b.index);
    });
    return keys;
  }

  Plan Filled(const std::string& recipe, uint32_t threads = 3) const {
    Plan plan = MakePlan(recipe, "out");
    RunOptions options = Quick();
    options.threads = threads;
    FillModelTrims(options, 16'000'000'000, &plan);
    return plan;
  }
};

TEST_F(ModelTrimTest, KeepsTheFirstKOfAllInOrder) {
  WriteModels(2);
  const Plan plan = Filled(TiesRecipe(""));
  const double densities[] = {0.21, 0.6, 1};
  bool ties_are_cut = false;
  for (uint32_t m = 0; m < 3; ++m) {
    const std::vector<Key> keys = SortedKeys(plan, m);
    const auto k = m == 2 ? keys.size() : static_cast<size_t>(densities[m] * static_cast<double>(keys.size()));
    for (size_t i = 0; i < keys.size(); ++i)
      ASSERT_EQ(keys[i].is_kept, i < k) << "model " << m << ", place " << i << " of " << k;
    ties_are_cut = ties_are_cut || (k < keys.size() && keys[k - 1].bits == keys[k].bits);
  }
  EXPECT_TRUE(ties_are_cut) << "the models are to have ties at a threshold";
}

TEST_F(ModelTrimTest, AllTiesAreKeptWhereThatIsAskedFor) {
  WriteModels(1);
  const Plan plan = Filled(TiesRecipe(", tie_break: keep_all"));
  for (uint32_t m = 0; m < 2; ++m) {
    const std::vector<Key> keys = SortedKeys(plan, m);
    const auto k = static_cast<size_t>((m == 0 ? 0.21 : 0.6) * static_cast<double>(keys.size()));
    for (size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(keys[i].is_kept, keys[i].bits >= keys[k - 1].bits);
  }
}

TEST_F(ModelTrimTest, TheMajorityIsOfTheWholeModel) {
  WriteModels(1);
  const Plan plan = Filled(TiesRecipe(", zero_sign: majority"));
  double balance = 0;
  for (const PlanItem& item : plan.items) {
    if (item.action != PlanAction::kMerge) continue;
    const std::vector<float> base = Read(plan, item, 0);
    std::vector<float> votes(base.size());
    for (uint32_t m = 0; m < 3; ++m) {
      const std::vector<float> model = Read(plan, item, m + 1);
      const Selection& selection = item.job.model_selections.at(m);
      for (uint64_t i = 0; i < votes.size(); ++i) {
        const float delta = model[i] - base[i];
        const uint32_t bits = std::bit_cast<uint32_t>(delta) & 0x7fffffff;
        if (bits > selection.threshold_bits || (bits == selection.threshold_bits && i < selection.tie_end))
          votes[i] += delta * 0.5f;
      }
    }
    for (const float vote : votes) balance += vote > 0 ? 1 : vote < 0 ? -1 : 0;
  }
  for (const PlanItem& item : plan.items)
    if (item.action == PlanAction::kMerge) {
      EXPECT_EQ(item.job.model_majority, balance);
    }
}

// The address sanitizer holds on to what is freed, which counts as used.
#ifdef __SANITIZE_ADDRESS__
constexpr uint64_t kSpareBytes = 256 << 20;
#else
constexpr uint64_t kSpareBytes = 8 << 20;
#endif

TEST_F(ModelTrimTest, SameOutputForThreadsMemoryAndDevices) {
  WriteModels(2);
  for (const std::string more : {"", ", zero_sign: majority", ", tie_break: keep_all, sign: count"}) {
    const auto expected = Merge(TiesRecipe(more), Quick());
    for (const uint32_t threads : {1u, 7u}) {
      RunOptions options = Quick();
      options.threads = threads;
      options.max_chunk_elems = threads * kBlockElems;
      EXPECT_EQ(Merge(TiesRecipe(more), options), expected) << threads << " threads";
    }
    RunOptions little = Quick();
    little.memory_bytes = EstimateRun(MakePlan(TiesRecipe(more), "out"), Quick()).memory_needed_bytes + kSpareBytes;
    EXPECT_EQ(Merge(TiesRecipe(more), little), expected) << "little memory";
    RunOptions reference = Quick();
    reference.device = Device::kReference;
    EXPECT_EQ(Merge(TiesRecipe(more), reference), expected) << more;
    EXPECT_EQ(MergeOn(TiesRecipe(more), Quick(), Fakes(2, {.device_bytes = kMiddle}, true)), expected) << more;
  }
  EXPECT_NE(Merge(TiesRecipe(""), Quick()).at("model.safetensors"),
            Merge(TiesRecipe(", tie_break: keep_all"), Quick()).at("model.safetensors"));
}

TEST_F(ModelTrimTest, EstimateCountsItsPasses) {
  WriteModels(1);
  const auto passes = [&](const std::string& more) {
    return EstimateRun(MakePlan(TiesRecipe(more), "out"), Quick()).n_trim_passes;
  };
  EXPECT_EQ(passes(""), 3u);
  EXPECT_EQ(passes(", tie_break: keep_all"), 2u);
  EXPECT_EQ(passes(", zero_sign: majority"), 4u);
  const Plan plan = MakePlan(TiesRecipe(""), "out");
  uint64_t bytes = 0;
  for (const PlanItem& item : plan.items)
    if (item.action == PlanAction::kMerge) bytes += item.InputBytes();
  EXPECT_EQ(EstimateRun(plan, Quick()).trim_bytes, 3 * bytes);
}

TEST_F(ModelTrimTest, OneDensityAModel) {
  WriteModels(1);
  std::string recipe = TiesRecipe("");
  recipe.replace(recipe.find("density: 0.6"), 12, "density: [0.2, 0.6]");
  const Diagnostic problem = FirstDiagnosticOf([&] { MakePlan(recipe, "out"); });
  EXPECT_EQ(problem.code, ErrorCode::kCfgRange);
  EXPECT_THAT(problem.message, HasSubstr("/b\" have several"));
}

TEST_F(ModelTrimTest, AfterAStageOnlyWhenStagesAreKept) {
  WriteModels(1);
  Documents documents = RepeatedLayers();
  documents[1].second = "merge_method: linear\nparameters: {weight: 0.5}\nmodels: [{model: $trimmed}, {model: $D/c}]\n";
  documents[0].second = Ties("");
  EXPECT_EQ(Model(Merge(Recipe(documents), Quick())), Model(OneByOne(documents))) << "a stage that reads files only";

  documents[0].second = ThreeStages()[0].second;
  std::string after = Ties("");
  after.replace(after.find("$D/a"), 4, "$trimmed");
  documents[1].second = after;
  const Diagnostic problem = FirstDiagnosticOf([&] { MakePlan(Recipe(documents), "out"); });
  EXPECT_EQ(problem.code, ErrorCode::kCfgUnsupported);
  EXPECT_THAT(problem.help, HasSubstr("--keep-stages"));
  PlanOptions options;
  options.output_dir = scratch / "out";
  options.overwrite = options.stages_are_kept = true;
  EXPECT_NO_THROW(PlanMerge(ParseConfig(Recipe(documents), "recipe.yaml", nullptr), options));
}

}  // namespace
}  // namespace gpumerge::test
