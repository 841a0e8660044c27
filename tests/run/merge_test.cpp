// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whole merges: the output's bytes depend on the recipe and the weights only, and a run that fails leaves nothing.
#include "tests/run/run_fixture.h"

#include <gmock/gmock.h>

#include <set>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

class EveryMethod : public RunFixture, public ::testing::WithParamInterface<std::string> {};

TEST_P(EveryMethod, SameOutputForThreadsMemoryChunksAndDevice) {
  WriteModels(1);
  const auto expected = Merge(Recipe(GetParam()), Quick());
  ASSERT_TRUE(expected.contains("model.safetensors"));
  ASSERT_TRUE(expected.contains("gpumerge_report.json"));
  for (const uint32_t threads : {1u, 3u, 8u}) {
    RunOptions options = Quick();
    options.threads = threads;
    EXPECT_EQ(Merge(Recipe(GetParam()), options), expected) << threads << " threads";
  }
  for (const uint64_t chunk : {kBlockElems, 3 * kBlockElems, 16 * kBlockElems}) {
    RunOptions options = Quick();
    options.max_chunk_elems = chunk;
    EXPECT_EQ(Merge(Recipe(GetParam()), options), expected) << "chunks of " << chunk;
  }
  RunOptions reference = Quick();
  reference.device = Device::kReference;
  EXPECT_EQ(Merge(Recipe(GetParam()), reference), expected) << "reference";
}

TEST_P(EveryMethod, SameWeightsForAnySharding) {
  WriteModels(1);
  const auto expected = Merge(Recipe(GetParam()), Quick());
  WriteModels(3);
  for (const char* name : {"base", "a", "b", "c"}) std::filesystem::remove(scratch / name + "/model.safetensors");
  EXPECT_EQ(Merge(Recipe(GetParam()), Quick()), expected);
}

INSTANTIATE_TEST_SUITE_P(All, EveryMethod,
                         ::testing::Values("linear", "slerp", "task_arithmetic", "ties", "dare_linear", "dare_ties",
                                           "passthrough"),
                         [](const auto& method) { return method.param; });

using MergeTest = RunFixture;

TEST_F(MergeTest, OutputShardsHoldTheSameTensors) {
  WriteModels(1);
  const auto whole = Merge(Recipe("ties"), Quick());
  const auto shards = Merge(Recipe("ties") + "shard_size: 70K\n", Quick());
  ASSERT_TRUE(shards.contains("model.safetensors.index.json"));
  ASSERT_FALSE(shards.contains("model.safetensors"));
  std::string joined;  // every tensor's bytes are somewhere in a shard
  for (const auto& [name, contents] : shards)
    if (name.ends_with(".safetensors")) joined += contents;
  const SafetensorsHeader header =
      ParseSafetensorsHeader(whole.at("model.safetensors")
                                 .substr(8, ParseHeaderLength(whole.at("model.safetensors").substr(0, 8),
                                                              whole.at("model.safetensors").size(), "")),
                             whole.at("model.safetensors").size(), "");
  for (const HeaderTensor& tensor : header.tensors)
    EXPECT_NE(
        joined.find(
            whole.at("model.safetensors").substr(header.data_begin_bytes + tensor.offset_bytes, tensor.size_bytes)),
        std::string::npos)
        << tensor.name;
}

TEST_F(MergeTest, SeedChangesDareOnly) {
  WriteModels(1);
  const auto reseeded = [&](const std::string& method) {
    std::string recipe = Recipe(method);
    return recipe.replace(recipe.find("seed: 5"), 7, "seed: 6");
  };
  EXPECT_NE(Merge(reseeded("dare_linear"), Quick()).at("model.safetensors"),
            Merge(Recipe("dare_linear"), Quick()).at("model.safetensors"));
  EXPECT_EQ(Merge(reseeded("ties"), Quick()).at("model.safetensors"),
            Merge(Recipe("ties"), Quick()).at("model.safetensors"));
}

TEST_F(MergeTest, MemoryBudgetTooSmallSaysWhatWorks) {
  WriteModels(1);
  RunOptions options = Quick();
  options.memory_bytes = 1000;
  const Plan plan = MakePlan(Recipe("ties"), "out");
  uint64_t needed = EstimateRun(plan, options).memory_needed_bytes;
  try {
    RunMerge(plan, options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResMemory);
    EXPECT_EQ(error.exit_status(), 10);
  }
  EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
  options.memory_bytes = needed + (64 << 20);  // the process itself grows a little from one call to the next
  EXPECT_NO_THROW(RunMerge(plan, options));
}

class Failing : public RunFixture {
 protected:
  // Runs, expects that error, and that neither an output nor anything beside it is left.
  Diagnostic ExpectError(const Plan& plan, ErrorCode code) {
    try {
      RunMerge(plan, Quick());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      std::set<std::string> left;
      for (const auto& entry : std::filesystem::directory_iterator(scratch.path()))
        left.insert(entry.path().filename());
      EXPECT_EQ(left, (std::set<std::string>{"a", "b", "base", "c"}));
      return error.diagnostics().front();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
  }

  void Overwrite(const std::string& model, const std::string& tensor, const std::vector<double>& values) {
    std::vector<TestTensor> tensors = Tensors(static_cast<uint64_t>(model[0]), DType::kBF16);
    for (TestTensor& t : tensors)
      if (t.name == tensor) {
        std::string bytes;
        for (double value : values) AppendValue(DType::kBF16, value, &bytes);
        t.bytes.replace(40, bytes.size(), bytes);
      }
    WriteModel(scratch / model, tensors, kConfigJson);
  }
};

TEST_F(Failing, NanInAnInput) {
  WriteModels(1);
  Overwrite("b", "model.layers.1.mlp.up_proj.weight", {1, std::nan(""), INFINITY});
  const Diagnostic error = ExpectError(MakePlan(Recipe("ties"), "out"), ErrorCode::kNumNonFiniteIn);
  EXPECT_THAT(error.message, HasSubstr("model.layers.1.mlp.up_proj.weight"));
  EXPECT_THAT(error.message, HasSubstr(scratch / "b"));
  EXPECT_THAT(error.found, HasSubstr("2 non-finite values, the first at element 21 = [0, 21]"));
}

TEST_F(Failing, OverflowOfTheOutputType) {
  WriteModels(1);
  Overwrite("b", "model.norm.weight", {3e38});
  std::string recipe = Recipe("linear");
  const Diagnostic error = ExpectError(MakePlan(recipe + "dtype: float16\n", "out"), ErrorCode::kNumOverflow);
  EXPECT_THAT(error.message, HasSubstr("\"model.norm.weight\" overflows F16"));
  EXPECT_THAT(error.found, HasSubstr("element 20 = [20]"));
}

TEST_F(Failing, IntegerTensorsDiffer) {
  WriteModels(1);
  std::vector<TestTensor> tensors = Tensors('c', DType::kBF16);
  tensors[6].bytes[33] = 1;
  WriteModel(scratch / "c", tensors, kConfigJson);
  const Diagnostic error = ExpectError(MakePlan(Recipe("ties"), "out"), ErrorCode::kMmIntDiffers);
  EXPECT_THAT(error.message, HasSubstr("model.rotary.ids"));
  EXPECT_THAT(error.found, HasSubstr("byte 33"));
}

TEST_F(Failing, InputChangesAfterPlanning) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  WriteModels(1);
  EXPECT_EQ(ExpectError(plan, ErrorCode::kInChanged).where, scratch / "a/model.safetensors");
}

TEST_F(Failing, InputTruncatedAfterPlanning) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  std::filesystem::resize_file(scratch / "a/model.safetensors", 5000);
  ExpectError(plan, ErrorCode::kInChanged);
}

TEST_F(Failing, Cancelled) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  RunOptions options = Quick();
  options.max_chunk_elems = kBlockElems;
  options.on_progress = [](const Progress&) { return false; };
  try {
    RunMerge(plan, options);
  } catch (const Error& error) {
    // A merge this small may be over before the first report: then there was nothing to stop.
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
    EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
  }
}

TEST_F(MergeTest, TensorsInMemory) {
  MergeJob job;
  job.method = static_cast<uint32_t>(FindMethod("linear") - Methods().data());
  job.inputs = {{DType::kF32, 0}, {DType::kF32, 1}};
  job.shape = {3};
  job.n_elems = 3;
  job.params = {{{1, 3}}, {{1}}};  // weight, normalize
  const float a[] = {1, 2, -8}, b[] = {5, 2, 0};
  const ConstTensor inputs[] = {{a, DType::kF32}, {b, DType::kF32}};
  const std::vector<std::byte> merged = MergeTensors(job, inputs, {});
  ASSERT_EQ(merged.size(), 12u);
  float values[3];
  std::memcpy(values, merged.data(), sizeof values);
  EXPECT_EQ(values[0], 4);
  EXPECT_EQ(values[1], 2);
  EXPECT_EQ(values[2], -2);

  job.params[0].values = {1, -1};
  EXPECT_THROW(MergeTensors(job, inputs, {}), Error);
  job.params[0].values = {1};
  EXPECT_THROW(MergeTensors(job, inputs, {}), Error);
  job.params[0].values = {1, std::nan("")};
  EXPECT_THROW(MergeTensors(job, inputs, {}), Error);
  job.params = {{{1, 3}}, {{2}}};  // normalize is a boolean
  EXPECT_THROW(MergeTensors(job, inputs, {}), Error);
  job.params = {{{1, 3}}, {{1}}};
  job.shape = {2};
  EXPECT_THROW(MergeTensors(job, inputs, {}), Error);
}

TEST_F(MergeTest, ManySmallTensorsOnManyThreads) {
  std::vector<std::vector<TestTensor>> models(3);
  for (uint64_t m = 0; m < models.size(); ++m)
    for (int t = 0; t < 100; ++t)
      models[m].push_back(PatternTensor("t" + std::to_string(t), DType::kBF16, {static_cast<uint64_t>(1 + t * 7)}, m));
  const char* names[] = {"base", "a", "b"};
  for (size_t m = 0; m < models.size(); ++m) WriteModel(scratch / names[m], models[m], kConfigJson);
  std::string recipe = "merge_method: ties\nbase_model: " + (scratch / "base") + "\nmodels:\n";
  for (const char* name : {"a", "b"})
    recipe += "  - model: " + (scratch / name) + "\n    parameters: {weight: 1, density: 0.3}\n";
  RunOptions reference = Quick();
  reference.device = Device::kReference;
  const auto expected = Merge(recipe, reference);
  RunOptions options = Quick();
  options.threads = 8;
  for (int repeat = 0; repeat < 8; ++repeat) ASSERT_EQ(Merge(recipe, options), expected) << repeat;
}

TEST_F(MergeTest, ReportCallsModelsByNameInWarnings) {
  WriteModels(1);
  WriteTextFile(scratch / "a/config.json", std::string(kConfigJson).replace(2, 0, "  \"rope_theta\": 5.0,\n"));
  const Plan plan = MakePlan(Recipe("ties"), "out");
  ASSERT_FALSE(plan.warnings.empty());
  RunMerge(plan, Quick());
  const std::string report = ReadTextFile(scratch / "out/gpumerge_report.json");
  EXPECT_THAT(report, HasSubstr("MM-CONFIG"));
  EXPECT_THAT(report, ::testing::Not(HasSubstr(scratch.path())));
}

}  // namespace
}  // namespace gpumerge::test
