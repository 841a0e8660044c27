// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A recipe of several documents writes what its documents write one by one, on whatever it runs.
#include "tests/run/stages_fixture.h"
#include "tests/support/errors.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class StagesTest : public StagesFixture {};

TEST_F(StagesTest, SameBitsAsOneByOne) {
  WriteModels(1);
  for (const Documents& documents : {ThreeStages(), RepeatedLayers()}) {
    const auto expected = OneByOne(documents);
    ASSERT_TRUE(expected.contains("model.safetensors"));
    const auto fused = Merge(Recipe(documents), Quick());
    EXPECT_EQ(Model(fused), Model(expected));
    EXPECT_EQ(Model(Merge(Recipe(documents, true), Quick())), Model(expected)) << "documents in the other order";
  }
}

TEST_F(StagesTest, SameOutputForThreadsMemoryChunksShardsAndDevices) {
  WriteModels(2);
  for (const Documents& documents : {ThreeStages(), RepeatedLayers()}) {
    const auto expected = Merge(Recipe(documents), Quick());
    for (const uint32_t threads : {1u, 3u, 8u}) {
      RunOptions options = Quick();
      options.threads = threads;
      EXPECT_EQ(Merge(Recipe(documents), options), expected) << threads << " threads";
    }
    for (const uint64_t chunk : {kBlockElems, 3 * kBlockElems}) {
      RunOptions options = Quick();
      options.max_chunk_elems = chunk;
      EXPECT_EQ(Merge(Recipe(documents), options), expected) << "chunks of " << chunk;
    }
    RunOptions options = Quick();
    options.memory_bytes = EstimateRun(MakePlan(Recipe(documents), "out"), Quick()).memory_needed_bytes + (8 << 20);
    EXPECT_EQ(Merge(Recipe(documents), options), expected) << "little memory";
    RunOptions reference = Quick();
    reference.device = Device::kReference;
    reference.selfcheck_percent = 100;
    EXPECT_EQ(Merge(Recipe(documents), reference), expected) << "reference";
    for (const uint64_t device_bytes : {kSmall, kMiddle, kLarge})
      for (const bool has_thread : {false, true}) {
        const FakeOptions fake{.device_bytes = device_bytes, .has_thread = has_thread};
        EXPECT_EQ(MergeOn(Recipe(documents), Quick(), Fakes(2, fake)), expected) << device_bytes;
        EXPECT_EQ(MergeOn(Recipe(documents), Quick(), Fakes(1, fake, true)), expected) << device_bytes;
      }
  }
}

TEST_F(StagesTest, TheNameOfAStageIsPartOfItsSeed) {
  WriteModels(1);
  Documents renamed = ThreeStages();
  for (auto& [name, text] : renamed) {
    if (name == "dropped") name = "thinned";
    if (const size_t at = text.find("$dropped"); at != std::string::npos) text.replace(at, 8, "$thinned");
  }
  EXPECT_NE(Merge(Recipe(renamed), Quick()).at("model.safetensors"),
            Merge(Recipe(ThreeStages()), Quick()).at("model.safetensors"));
}

TEST_F(StagesTest, ReportAndPlanNameTheStages) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe(ThreeStages()), "out");
  ASSERT_EQ(plan.stages.size(), 2u);
  const auto files = Contents(RunMerge(plan, Quick()).output_dir);
  const auto report = nlohmann::json::parse(files.at("gpumerge_report.json"));
  EXPECT_EQ(report["stages"][0]["name"], "soup");
  EXPECT_EQ(report["stages"][1]["seed"], 9);
  EXPECT_EQ(report["tensors"].size(), 8u);
  EXPECT_EQ(report["stage_tensors"].size(), 16u);
  std::map<std::string, std::string> hashes;
  for (const auto& tensor : report["stage_tensors"])
    hashes[std::string(tensor["stage"]) + " " + std::string(tensor["name"])] = tensor["xxh3_128"];
  for (const auto& tensor : report["tensors"])
    EXPECT_EQ(tensor["inputs"][0]["xxh3_128"], hashes.at("soup " + std::string(tensor["name"])))
        << "what a stage makes is what the next one reads";
  EXPECT_THAT(files.at("README.md"), Not(HasSubstr("soup)")));
  EXPECT_THAT(files.at("gpumerge_config.yaml"), HasSubstr("---\n"));
}

TEST_F(StagesTest, PartsOfAPlanKeepTogetherWhatReadsEachOther) {
  WriteModels(1);
  for (const Documents& documents : {ThreeStages(), RepeatedLayers()}) {
    const Plan plan = MakePlan(Recipe(documents), "out");
    const auto shards = [&](PlanPart part, std::string bytes) {
      const auto backend = MakeCpuBackend(2, "");
      Backend* const backends[] = {backend.get()};
      Scratch file(scratch.path(), 0);
      PipelineOptions options;
      options.units = {{300'000, 2'000'000, true, 0}};
      options.staging = backend->AllocateStaging(2'000'000);
      options.scratch = &file;
      RunPipeline(plan, part, backends, options, [&](uint32_t, uint64_t offset, const std::byte* data, uint64_t size) {
        std::memcpy(bytes.data() + offset, data, size);
      });
      return bytes;
    };
    const std::string empty(plan.shards[0].size_bytes, '\0');
    const std::string whole = shards({0, plan.items.size()}, empty);
    for (const uint32_t n_parts : {2u, 4u}) {
      std::string joined = empty;
      for (const PlanPart& part : CutPlan(plan, n_parts)) {
        for (uint64_t i = part.first; i < part.last; ++i)
          for (const PlanInput& input : plan.items[i].inputs)
            if (input.item) {
              ASSERT_GE(*input.item, part.first);
            }
        joined = shards(part, joined);
      }
      EXPECT_EQ(joined, whole);
    }
  }
}

TEST_F(StagesTest, WhatIsWrongInAStageIsSaidOnce) {
  WriteModels(1);
  std::string recipe = Recipe(ThreeStages());
  recipe.replace(recipe.find("/a,"), 3, "/x,");
  try {
    MakePlan(recipe, "out");
    FAIL() << "planned";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInMissing);
    EXPECT_EQ(error.diagnostics().size(), 1u) << "two documents read the stage";
  }
}

TEST_F(StagesTest, AnOverflowInAStageNamesTheTensor) {
  WriteModels(1);
  Documents documents = ThreeStages();
  documents[0].second.replace(documents[0].second.find("0.3"), 3, "3e9");
  documents[0].second += "parameters: {normalize: false}\n";
  EXPECT_EQ(CodeOf([&] { Merge(Recipe(documents), Quick()); }), "NUM-OVERFLOW");
  EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
}

}  // namespace
}  // namespace gpumerge::test
