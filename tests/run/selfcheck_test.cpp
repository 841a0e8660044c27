// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Tensors computed again by the reference executor, and what happens when they differ.
#include "src/run/selfcheck.h"

#include "src/run/layout.h"
#include "tests/run/device_fixture.h"
#include "tests/support/errors.h"

#include <gmock/gmock.h>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

class SelfcheckTest : public DeviceFixture {
 protected:
  static RunOptions Checked(double percent) {
    RunOptions options = Quick();
    options.selfcheck_percent = percent;
    return options;
  }
};

TEST_F(SelfcheckTest, EveryMethodOnEveryBackendAgrees) {
  WriteModels(1);
  for (const char* method : {"linear", "slerp", "task_arithmetic", "ties", "dare_linear", "dare_ties", "passthrough"}) {
    const auto expected = Merge(Recipe(method), Quick());
    EXPECT_EQ(Merge(Recipe(method), Checked(100)), expected);
    for (const uint64_t device_bytes : {400'000u, 4'000'000u, 64'000'000u}) {
      EXPECT_EQ(MergeOn(Recipe(method), Checked(100), Fakes(2, {.device_bytes = device_bytes}, true)), expected);
      EXPECT_EQ(stats.selfcheck_tensors, 7u);
    }
  }
}

TEST_F(SelfcheckTest, ADifferenceSaysWhereAndWhat) {
  WriteModels(1);
  for (const uint64_t device_bytes : {400'000u, 4'000'000u, 64'000'000u}) {
    const FakeOptions fake{.device_bytes = device_bytes, .spoil_elem = 9001};
    const Diagnostic error = FirstDiagnosticOf([&] { MergeOn(Recipe("linear"), Checked(0.001), Fakes(1, fake)); });
    EXPECT_EQ(error.code, ErrorCode::kSelfcheck);
    EXPECT_THAT(error.message, HasSubstr("\"model.embed_tokens.weight\" as merged by fake:0"));
    EXPECT_EQ(error.where, "element 9001 = [9, 1]");
    EXPECT_THAT(error.found, ::testing::MatchesRegex("-?[0-9.e-]+ \\(0x[0-9a-f]{4}\\)"));
    EXPECT_THAT(error.expected, ::testing::MatchesRegex("-?[0-9.e-]+ \\(0x[0-9a-f]{4}\\)"));
    EXPECT_NE(error.found, error.expected);
    EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
    EXPECT_NO_THROW(MergeOn(Recipe("linear"), Quick(), Fakes(1, fake))) << "unseen without the check";
    std::filesystem::remove_all(scratch / "out");
  }
}

TEST_F(SelfcheckTest, ChoiceIsFixedAndGrowsWithThePercentage) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  const PlanPart all{0, plan.items.size()};
  EXPECT_TRUE(SelfcheckItems(plan, all, 0).empty());
  EXPECT_EQ(SelfcheckItems(plan, all, 0.0001).size(), 1u) << "the first merged one";
  EXPECT_EQ(SelfcheckItems(plan, all, 100).size(), 7u);
  std::vector<uint64_t> before;
  for (const double percent : {1.0, 20.0, 50.0, 80.0, 100.0}) {
    const std::vector<uint64_t> items = SelfcheckItems(plan, all, percent);
    EXPECT_TRUE(std::includes(items.begin(), items.end(), before.begin(), before.end()));
    before = items;
  }
}

TEST_F(SelfcheckTest, ItsMemoryIsPartOfTheBudget) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  const auto cpu = MakeCpuBackend(1, "");
  Backend* const backends[] = {cpu.get()};
  const uint64_t without = LayOutMemory(plan, Quick(), backends).overhead_bytes;
  const uint64_t with = LayOutMemory(plan, Checked(100), backends).overhead_bytes;
  EXPECT_GE(with + (1 << 18), without + 70'000 * (4 * 2 + 2 + 20));  // the process may have shrunk a little
}

}  // namespace
}  // namespace gpumerge::test
