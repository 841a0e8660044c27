// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Relations between merges that hold bit for bit whatever the values: found counter-examples are shrunk by rapidcheck.
// (Relations up to rounding are in metamorphic_rounding_test.cpp.) Each on the reference and on the CPU backend.
#include "tests/support/metamorphic.h"

#include <rapidcheck.h>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

TEST(Linear, OfOneModelWithWeightOneIsTheModel) {
  EXPECT_TRUE(rc::check([] {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF8E4M3, DType::kF8E5M2, DType::kF64}) {
      std::vector<float> values = *GridValues(*Size());
      values.push_back(-0.0f);
      SameBits(
          {.method = "linear", .inputs = {values}, .params = {{"weight", {1}}}, .dtypes = {dtype}, .out_dtype = dtype},
          Widened(dtype, Stored(dtype, values)));
    }
  }));
}

TEST(Passthrough, IsTheSameBytesForEveryFiniteValue) {
  EXPECT_TRUE(rc::check([](const std::vector<uint32_t>& patterns) {
    std::vector<float> values;
    for (const uint32_t pattern : patterns)
      if ((pattern & 0x7f800000u) != 0x7f800000u) values.push_back(std::bit_cast<float>(pattern));
    SameBits({.method = "passthrough", .inputs = {values}}, values);
  }));
}

TEST(Linear, OfTwoOrFourCopiesIsTheModel) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<float> values = *GridValues(*Size());
    for (const size_t copies : {size_t{2}, size_t{4}})
      SameNumbers({.method = "linear",
                   .inputs = std::vector<std::vector<float>>(copies, values),
                   .params = {{"weight", std::vector<double>(copies, *PowerOfTwo())}}},
                  values);
  }));
}

TEST(Linear, OfItsOwnResultIsTheResult) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *LinearSpec(3);
    const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    SameBits({.method = "linear", .inputs = {merged, merged}, .params = {{"weight", {1, 1}}}}, merged);
  }));
}

TEST(Linear, OfTwoModelsDoesNotDependOnTheirOrder) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *LinearSpec(2);
    const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    std::swap(spec.inputs[0], spec.inputs[1]);
    std::swap(spec.params["weight"][0], spec.params["weight"][1]);
    SameNumbers(spec, merged);
  }));
}

TEST(TaskVectors, OfTwoModelsDoNotDependOnTheirOrder) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *FamilySpec(2);
    const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    std::swap(spec.inputs[1], spec.inputs[2]);
    std::swap(spec.params["weight"][0], spec.params["weight"][1]);
    std::swap(spec.params["density"][0], spec.params["density"][1]);
    spec.model_indices = {1, 0};  // a model keeps its draws
    SameNumbers(spec, merged);
  }));
}

TEST(NormalizedWeights, MayBeScaledByAPowerOfTwo) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *rc::gen::oneOf(LinearSpec(3), FamilySpec(3));
    spec.params["normalize"] = {1};
    RC_PRE(!Methods()[MethodNumber(spec.method)].check(MakeJob(spec).job).has_value());
    const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    const double factor = *PowerOfTwo();
    // Where no model agrees the divisor is 1, but so is the sum 0.
    for (double& weight : spec.params["weight"]) weight *= factor;
    SameNumbers(spec, merged);
  }));
}

TEST(UnnormalizedWeights, ScaledByAPowerOfTwoScaleTheSum) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *rc::gen::oneOf(LinearSpec(3), FamilySpec(3));
    spec.params["normalize"] = {0};
    if (spec.method != "linear") spec.inputs[0].assign(spec.inputs[0].size(), 0.0f);
    std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    const double factor = *PowerOfTwo();
    for (float& value : merged) value *= static_cast<float>(factor);
    for (double& weight : spec.params["weight"]) weight *= factor;
    SameNumbers(spec, merged);
  }));
}

TEST(Slerp, AtItsEndsIsOneOfTheModels) {
  EXPECT_TRUE(rc::check([] {
    const size_t n = *Size();
    std::vector<float> a = *GridValues(n), b = *GridValues(n);
    // Zeros of both signs beside values of both signs: 0 * x must not be added.
    a.insert(a.end(), {-0.0f, -0.0f, 1.0f, -1.0f});
    b.insert(b.end(), {1.0f, -1.0f, -0.0f, -0.0f});
    SameBits({.method = "slerp", .inputs = {a, b}, .params = {{"t", {0}}}}, a);
    SameBits({.method = "slerp", .inputs = {a, b}, .params = {{"t", {1}}}}, b);
  }));
}

TEST(TaskVectors, WithLambdaZeroLeaveTheBase) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *FamilySpec(3);
    spec.params["lambda"] = {0};
    SameNumbers(spec, spec.inputs[0]);
  }));
}

TEST(Ties, OfOneModelAndNothingTrimmedIsTheModel) {
  EXPECT_TRUE(rc::check([] {
    const size_t n = *Size();
    // On one grid no difference rounds.
    const std::vector<float> base = *GridValues(n), model = *GridValues(n);
    SameNumbers({.method = "ties",
                 .inputs = {base, model},
                 .params = {{"weight", {1}}},
                 .dtypes = {DType::kBF16},
                 .out_dtype = DType::kBF16},
                model);
  }));
}

TEST(TaskVectors, OfDensityOneDropNothing) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *FamilySpec(3);
    spec.params["density"] = {1, 1, 1};
    const std::pair<std::string_view, std::string_view> pairs[] = {
        {"dare_linear", "task_arithmetic"},  {"breadcrumbs", "task_arithmetic"},
        {"della_linear", "task_arithmetic"}, {"dare_ties", "ties"},
        {"breadcrumbs_ties", "ties"},        {"della", "ties"}};
    for (const auto& [dropping, plain] : pairs) {
      spec.method = plain;
      spec.params["normalize"] = {0};
      const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
      spec.method = dropping;
      SameBits(spec, merged);
    }
  }));
}

TEST(TaskVectors, OfCopiesOfTheBaseAreZero) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *FamilySpec(3);
    for (std::vector<float>& input : spec.inputs) input = spec.inputs[0];
    SameNumbers(spec, spec.inputs[0]);
  }));
}

TEST(Linear, ModelOfWeightZeroMayBeLeftOut) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *LinearSpec(3);
    spec.params["normalize"] = {0};
    const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    const size_t at = *rc::gen::inRange<size_t>(0, 4);
    spec.inputs.insert(spec.inputs.begin() + static_cast<ptrdiff_t>(at), *GridValues(merged.size()));
    spec.params["weight"].insert(spec.params["weight"].begin() + static_cast<ptrdiff_t>(at), 0.0);
    SameNumbers(spec, merged);
  }));
}

TEST(EveryMethod, StoredTypeOfEqualValuesDoesNotMatter) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *AnySpec(2);  // grid values are exact in bf16 and f16
    const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    for (const DType dtype : {DType::kBF16, DType::kF16, DType::kF64}) {
      spec.dtypes = {dtype};
      SameBits(spec, merged);
    }
    spec.dtypes = {DType::kF32, DType::kF16, DType::kBF16};
    SameBits(spec, merged);
  }));
}

// The second half of a tensor alone; draws and selections know where an element lies, so that only methods without them
// may be split.
JobSpec Half(JobSpec spec, bool second) {
  for (std::vector<float>& input : spec.inputs) {
    const auto middle = input.begin() + static_cast<ptrdiff_t>(input.size() / 2);
    input = second ? std::vector<float>(middle, input.end()) : std::vector<float>(input.begin(), middle);
  }
  return spec;
}

std::vector<float> MergedInHalves(const JobSpec& spec) {
  std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(Half(spec, false)));
  const std::vector<float> rest = RunJob(*BothBackends()[0], MakeJob(Half(spec, true)));
  merged.insert(merged.end(), rest.begin(), rest.end());
  return merged;
}

TEST(ElementwiseMethods, MayBeSplit) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *rc::gen::oneOf(LinearSpec(3), FamilySpec(3));
    if (spec.method != "linear") spec.method = "task_arithmetic";
    SameBits(spec, MergedInHalves(spec));
  }));
}

TEST(MethodsOverTheWholeTensor, MustNotBeSplit) {
  std::vector<float> base(64, 0.0f), model(64);
  for (size_t i = 0; i < 64; ++i) model[i] = static_cast<float>(i + 1);
  const JobSpec ties{.method = "ties", .inputs = {base, model}, .params = {{"weight", {1}}, {"density", {0.5}}}};
  const double l1 = Choice("dare_linear", "rescale", "l1");
  const JobSpec dare{.method = "dare_linear",
                     .inputs = {base, model},
                     .params = {{"weight", {1}}, {"density", {0.5}}, {"rescale", {l1}}}};
  const JobSpec slerp{.method = "slerp", .inputs = {std::vector<float>(64, 1.0f), model}, .params = {{"t", {0.5}}}};
  for (const JobSpec& spec : {ties, dare, slerp})
    for (const auto& backend : BothBackends())
      EXPECT_NE(RunJob(*backend, MakeJob(spec)), MergedInHalves(spec)) << spec.method;
}

TEST(EveryMethod, FlippingAllSignsFlipsTheResult) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *AnySpec(2);
    // A sum of exactly zero elects plus, whatever the signs: weights that no grid values cancel with.
    if (spec.params.contains("density")) spec.params["weight"] = {1.0, 0.7310585};
    std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    for (float& value : merged) value = -value;
    for (std::vector<float>& input : spec.inputs)
      for (float& value : input) value = -value;
    SameNumbers(spec, merged);
  }));
}

}  // namespace
}  // namespace gpumerge
