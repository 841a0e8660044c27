// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// sce on examples worked out by hand: what is selected, how the models weigh, which of them are erased.
#include "tests/support/metamorphic.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

void ExpectMerged(const JobSpec& spec, const std::vector<float>& expected) {
  for (const auto& backend : EveryBackend())
    EXPECT_EQ(RunJob(*backend, MakeJob(spec)), expected) << NameOf(*backend) << ": " << TextOf(spec);
}

TEST(Sce, WeighsByMeanSquares) {
  // Squares 12 and 4.
  JobSpec spec{.method = "sce", .inputs = {{5, 5, 5, 5}, {8, 6, 6, 6}, {7, 5, 5, 5}}};
  ExpectMerged(spec, {5 + 0.75f * 3 + 0.25f * 2, 6, 6, 6});
  spec.params["weight_floor"] = {4};  // 12 / 4 + 4 / 4 is not below
  ExpectMerged(spec, {7.75f, 6, 6, 6});
  spec.params["weight_floor"] = {4.001};
  ExpectMerged(spec, {7.5f, 6, 6, 6});
}

TEST(Sce, SelectsWhatVaries) {
  // Variances 0, 1, 0, 1.
  JobSpec spec{.method = "sce", .inputs = {{0, 0, 0, 0}, {1, 2, 0, 1}, {1, 0, 0, -1}}};
  ExpectMerged(spec, {1, 2, 0, 1});
  spec.params["select_topk"] = {0.5};  // one of the two that vary, the first
  ExpectMerged(spec, {0, 2, 0, 0});
  spec.params["select_topk"] = {0.99};
  ExpectMerged(spec, {0, 2, 0, 0});
  spec.params["mask"] = {Choice("sce", "mask", "weights")};  // all of the first model, none of the second
  ExpectMerged(spec, {1, 2, 0, 1});
  spec.params["select_topk"] = {0.49};  // none: equal weights
  ExpectMerged(spec, {1, 2, 0, 1});
  spec.params["mask"] = {Choice("sce", "mask", "deltas")};
  ExpectMerged(spec, {0, 0, 0, 0});
}

TEST(Sce, MaskedWeightsAreOfTheSelectedElements) {
  // Variances 0, 4, 1: one of two; squares 16 and 0.
  JobSpec spec{.method = "sce", .inputs = {{0, 0, 0}, {6, 4, 2}, {6, 0, 0}}, .params = {{"select_topk", {0.5}}}};
  ExpectMerged(spec, {0, 4, 0});
  spec.inputs[2] = {2, 0, 0};  // variances 4, 4, 1: one of three; squares 36 and 4
  ExpectMerged(spec, {(0.9f * 6 + 0.1f * 2) / (0.9f + 0.1f), 0, 0});
}

TEST(Sce, ErasesTheMinority) {
  const JobSpec spec{.method = "sce", .inputs = {{0, 0, 0, 0}, {4, -1, 0, 0}, {-1, 4, 0, 0}}};
  ExpectMerged(spec, {4, 4, 0, 0});
}

TEST(Sce, DivisorFloor) {
  JobSpec spec{.method = "sce", .inputs = {{0, 0, 0, 0, 0}, {3, 1, 1, 1, 0}, {0, 0, 0, 0, 2}}};
  ExpectMerged(spec, {3, 1, 1, 1, 2});
  spec.params["divisor_floor"] = {0.5};
  ExpectMerged(spec, {3, 1, 1, 1, 1});
}

TEST(Sce, OneModelVariesNowhere) {
  JobSpec spec{.method = "sce", .inputs = {{0, 0}, {1, -2}}};
  ExpectMerged(spec, {1, -2});
  spec.params["select_topk"] = {0.9};
  ExpectMerged(spec, {0, 0});
}

TEST(Sce, Passes) {
  const auto kinds = [](JobSpec spec) {
    std::vector<PassKind> found;
    for (const PassInfo& pass : Methods()[MethodNumber("sce")].passes(MakeJob(spec).job)) found.push_back(pass.kind);
    return found;
  };
  JobSpec spec{.method = "sce", .inputs = {{0, 0}, {1, -2}, {1, 1}}};
  EXPECT_EQ(kinds(spec), (std::vector{PassKind::kReduce, PassKind::kMap}));
  spec.params["select_topk"] = {0.9};
  EXPECT_EQ(kinds(spec), (std::vector{PassKind::kReduce, PassKind::kSelect, PassKind::kReduce, PassKind::kMap}));
}

// No floor makes tiny differences special.
TEST(Sce, ScalesWithTheDifferences) {
  EXPECT_TRUE(rc::check([] {
    const size_t n = *Size();
    JobSpec spec{.method = "sce", .inputs = {std::vector<float>(n, 0.0f)}};
    for (int m = 0; m < 3; ++m) spec.inputs.push_back(*GridValues(n));
    spec.params["select_topk"] = {*rc::gen::element(1.0, 0.5, 0.1)};
    spec.params["mask"] = {*rc::gen::element(0.0, 1.0)};
    std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    const float factor = std::ldexp(1.0f, *rc::gen::inRange(-30, 31));
    for (float& value : merged) value *= factor;
    for (std::vector<float>& input : spec.inputs)
      for (float& value : input) value *= factor;
    SameNumbers(spec, merged);
  }));
}

TEST(Sce, OfTwoOrFourCopiesIsTheModel) {
  EXPECT_TRUE(rc::check([] {
    const size_t n = *Size();
    const std::vector<float> base = *GridValues(n), model = *GridValues(n);
    for (const size_t copies : {size_t{2}, size_t{4}}) {
      JobSpec spec{.method = "sce", .inputs = {base}};
      spec.inputs.insert(spec.inputs.end(), copies, model);
      SameNumbers(spec, model);
    }
  }));
}

}  // namespace
}  // namespace gpumerge
