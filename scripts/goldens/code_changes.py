# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""What scripts/check_goldens_bite.py changes in the methods' code: text that occurs once in a file (white space aside),
and its replacement.

Not listed, because results do not follow from them: the ranges and texts of parameters (tests/kernels pins the ranges),
parameters without effect, and changes that give the same numbers, such as slerp's clamp of a cosine above 1.
"""
from dataclasses import dataclass


@dataclass
class Change:
    file: str
    old: str
    new: str
    about: str = ""


def _changes(file, *pairs):
    return [Change(file, *pair) for pair in pairs]


CHANGES = [
    *_changes(
        "kernels/methods/linear.h",
        ('.default_value = 1.0, .help = "divide', '.default_value = 0.0, .help = "divide',
         "does not normalize by default"),
        ("F sum = at.x[0] * F(weight[0]);", "F sum = at.x[0];"),
        ("uint32_t m = 1; m < n_models()", "uint32_t m = 2; m < n_models()"),
        ("sum + at.x[m] * F(weight[m])", "sum - at.x[m] * F(weight[m])"),
        ("!= 0 ? weight_sum : 1.0f", "!= 0 ? weight_sum : 2.0f"),
        ("!= 0 ? weight_sum : 1.0f", "== 0 ? weight_sum : 1.0f"),
        ('!= 0 ? CheckWeightSum(job)', '== 0 ? CheckWeightSum(job)'),
    ),
    *_changes(
        "kernels/methods/passthrough.h",
        (".default_value = 1.0", ".default_value = 0.5", "scale 0.5 by default"),
        ("at.x[0] * F(scale)", "at.x[0]"),
        ("at.x[0] * F(scale)", "at.x[0] / F(scale)"),
        ("static_cast<float>(x.job().PerModel", "1.0000001f * static_cast<float>(x.job().PerModel",
         "scale one ulp larger"),
    ),
    *_changes(
        "kernels/methods/slerp.h",
        ("kLerpAbove = 0.9995", "kLerpAbove = 0.9994"),
        ("kLerpAbove = 0.9995", "kLerpAbove = 0.9996"),
        ("kZeroNorm = 1e-8", "kZeroNorm = 2e-8"),
        ("kZeroNorm = 1e-8", "kZeroNorm = 0.5e-8"),
        ("norm_a > kZeroNorm ? norm_a : 1)", "norm_a > kZeroNorm ? norm_a : 1e-8)"),
        ("norm_b > kZeroNorm ? norm_b : 1)", "norm_b > kZeroNorm ? norm_b : 1e-8)"),
        ("std::fabs(c) > kLerpAbove", "c > kLerpAbove"),
        ("from_a = static_cast<float>(1 - t)", "from_a = static_cast<float>(1 + t)"),
        ("from_b = static_cast<float>(t)", "from_b = static_cast<float>(1 - t)"),
        ("std::sin((1 - t) * theta)", "std::sin((2 - t) * theta)"),
        ("std::sin(t * theta)", "std::sin((1 - t) * theta)"),
        ("element.only_a = t == 0", "element.only_a = false"),
        ("element.only_b = t == 1", "element.only_b = false"),
        ("const double t = static_cast<float>(x.job().Shared(\"t\"))", "const double t = x.job().Shared(\"t\")",
         "t is not rounded to float32"),
        ("values[0] = a * a", "values[0] = a"),
        ("values[1] = b * b", "values[1] = b"),
        ("values[2] = a * b", "values[2] = a + b"),
        ("ReduceOp::kSum", "ReduceOp::kMax"),
        ("at.x[0] * F(from_a) + at.x[1]", "at.x[0] * F(from_a) - at.x[1]"),
    ),
    *_changes(
        "kernels/methods/task_arithmetic.h",
        ("const F zero(0.0f)", "const F zero(1.0f)"),
        ("sum >= zero", "sum > zero"),
        ("plus && (delta[m] > zero)) ||", "plus && (delta[m] >= zero)) ||"),
        ("!plus && (delta[m] < zero)", "!plus && (delta[m] <= zero)"),
        ("zero, F(1.0f), agreeing_weight", "zero, F(2.0f), agreeing_weight"),
        ("F(vectors.factor[m])) * F(weight[m])", "F(vectors.factor[m]))"),
        ("vectors.Kept(at, m) * F(vectors.factor[m])", "vectors.Kept(at, m) * F(1.0f)"),
        ("const F kept_weight = Where(agrees, F(weight[m]), zero)", "const F kept_weight = F(weight[m])"),
        ("if (normalize) merged = merged / F(weight_sum)", "merged = merged / F(weight_sum)"),
        ("if (normalize) merged = merged / Where", "if (!normalize) merged = merged / Where"),
        ("merged * F(lambda)", "merged"),
        ("kDrop ? Rescale::kInvDensity : Rescale::kL1", "kDrop ? Rescale::kL1 : Rescale::kL1"),
        ("kDrop ? Rescale::kInvDensity : Rescale::kL1", "kDrop ? Rescale::kInvDensity : Rescale::kL2"),
        ('kDensity{.name = "density", .scope = ParamScope::kPerModel, .default_value = 1.0',
         'kDensity{.name = "density", .scope = ParamScope::kPerModel, .default_value = 0.9', "density 0.9 by default"),
        ('kLambda{.name = "lambda", .default_value = 1.0', 'kLambda{.name = "lambda", .default_value = 0.9'),
        ("by_default ? 1.0 : 0.0", "by_default ? 0.0 : 1.0"),
        ("kDensityUnused, Normalize(false)", "kDensityUnused, Normalize(true)",
         "task_arithmetic normalizes by default"),
        ("{kWeight, kDensity, Normalize(true), RescaleParam(Rescale::kFalse)",
         "{kWeight, kDensity, Normalize(false), RescaleParam(Rescale::kFalse)", "ties does not normalize by default"),
        ("RescaleParam(Rescale::kFalse)", "RescaleParam(Rescale::kTrue)", "ties rescales by default"),
        ('!= 0 ? CheckWeightSum(job)', '== 0 ? CheckWeightSum(job)'),
        ("lambda = static_cast<float>", "lambda = 1.0000001f * static_cast<float>", "lambda one ulp larger"),
        ("Ties : TaskArithmeticFamily<Sparsify::kTrim, Consensus::kElectSign>",
         "Ties : TaskArithmeticFamily<Sparsify::kTrim, Consensus::kNone>", "ties elects no sign"),
    ),
    # The two DARE methods share the text of their parameters: the family that follows tells them apart.
    *_changes(
        "kernels/methods/task_arithmetic.h",
        *[(f"struct {name} : TaskArithmeticFamily<Sparsify::kDrop, Consensus::{consensus}> {{\n"
           "  static const MethodInfo& Info() {\n"
           "    static constexpr ParamSpec kParams[] = {kWeight, kDensity, Normalize(false), "
           "RescaleParam(Rescale::kTrue)",
           f"struct {name} : TaskArithmeticFamily<Sparsify::kDrop, Consensus::{consensus}> {{\n"
           "  static const MethodInfo& Info() {\n"
           f"    static constexpr ParamSpec kParams[] = {{kWeight, kDensity, Normalize({normalize}), "
           f"RescaleParam(Rescale::{rescale})", f"{name} {about} by default")
          for name, consensus in (("DareLinear", "kNone"), ("DareTies", "kElectSign"))
          for normalize, rescale, about in (("true", "kTrue", "normalizes"), ("false", "kFalse", "does not rescale"),
                                            ("false", "kL1", "rescales by l1"))],
        ("DareLinear : TaskArithmeticFamily<Sparsify::kDrop", "DareLinear : TaskArithmeticFamily<Sparsify::kTrim",
         "dare_linear trims"),
        ("DareTies : TaskArithmeticFamily<Sparsify::kDrop, Consensus::kElectSign>",
         "DareTies : TaskArithmeticFamily<Sparsify::kDrop, Consensus::kNone>", "dare_ties elects no sign"),
    ),
    *_changes(
        "kernels/task_vectors.h",
        ("return Bits(at.x[m + 1] - at.x[0])", "return Bits(at.x[m + 1])", "ranks the models, not the differences"),
        ("const F delta = at.x[m + 1] - at.x[0]", "const F delta = at.x[m] - at.x[0]"),
        ("const double before = at.x[m + 1] - at.x[0]", "const double before = at.x[m + 1]"),
        ("kSmallestNorm = 1e-7", "kSmallestNorm = 2e-7"),
        ("kSmallestNorm = 1e-7", "kSmallestNorm = 0.5e-7"),
        ("after < kSmallestNorm ? 1.0f", "after < kSmallestNorm ? 2.0f"),
        ("before < kSmallestNorm || after < kSmallestNorm", "before < kSmallestNorm"),
        ("static_cast<float>(before / after)", "static_cast<float>(after / before)"),
        ("after = std::sqrt(after)", "after = after"),
        ("before = std::sqrt(before)", "before = before"),
        ("squares ? before * before", "squares ? before"),
        ("squares ? after * after", "squares ? after"),
        ("std::ceil(density * 0x1p32)", "std::ceil(density * 0x1p31)"),
        ("std::ceil(density * 0x1p32)", "std::floor(density * 0x1p32)"),
        ("std::ceil(density * 0x1p32)", "std::ceil(density * 0x1p32) + 1"),
        ("static_cast<uint32_t>(kept_draws - 1)", "static_cast<uint32_t>(kept_draws)"),
        ("at.draw[m] <= last_kept_draw[m], delta, F(0.0f)", "at.draw[m] <= last_kept_draw[m], delta, F(-0.0f)"),
        ("at.draw[m] <= last_kept_draw[m]", "at.draw[m] > last_kept_draw[m]"),
        ("at.i), delta, F(0.0f)", "at.i), delta, F(0.5f)"),
        ("if (!keeps_any[m]) return F(0.0f);", "", "a density of 0 keeps the word 0"),
        ("static_cast<float>(1 / density) : 1.0f", "static_cast<float>(1 / density) : 1.5f"),
        ("static_cast<float>(1 / density) : 1.0f", "static_cast<float>(1 / (1 - density)) : 1.0f"),
        ("rescale == Rescale::kLinf ? ReduceOp::kMax", "rescale == Rescale::kLinf ? ReduceOp::kSum"),
        ("{vectors, rescale == Rescale::kL2}", "{vectors, rescale == Rescale::kL1}"),
        ('"l1", "l2", "linf"', '"l2", "l1", "linf"'),
        ('{"false", "true"', '{"true", "false"'),
        ("? 1.0 : job.PerModel(\"density\", m)", "? 1.0 : job.PerModel(\"density\", 0)", "one density for all models"),
        ("drops_any || density < 1", "drops_any || density < 0.5"),
    ),
    *_changes(
        "kernels/weights.h",
        ("1e-8 * magnitude", "2e-8 * magnitude"),
        ("1e-8 * magnitude", "0.5e-8 * magnitude"),
        ("m == 0 ? weight[0]", "m == 0 ? 1.0f"),
        ("sum + weight[m]", "sum - weight[m]"),
        ("weight[m] = static_cast<float>(job", "weight[m] = 1.0000001f * static_cast<float>(job",
         "weights one ulp larger"),
    ),
    *_changes(
        "kernels/selection.h",
        ("if (density <= 0) return 0;", "if (density < 0) return 0;"),
        ("return k == 0 ? 1 : k", "return k == 0 ? 0 : k"),
        ("return k == 0 ? 1 : k", "return k == 0 ? 2 : k"),
        ("return k == 0 ? 1 : k", "return k + 1"),
        ("density * static_cast<double>(n_elems))", "density * static_cast<double>(n_elems) + 0.5)"),
        ("key > selection.threshold_bits", "key >= selection.threshold_bits"),
        ("i < selection.tie_end", "i <= selection.tie_end"),
        ("i < selection.tie_end", "i > selection.tie_end"),
        ("selection.tie_end - first_elem : 0", "selection.tie_end : 0"),
        ("selection.tie_end - first_elem : 0", "selection.tie_end - first_elem : 1"),
        ("kKeepNone{0xffffffffu, 0}", "kKeepNone{0, 0}"),
    ),
    *_changes(
        "kernels/philox.h",
        ("0xD2511F53u", "0xD2511F55u"),
        ("0xCD9E8D57u", "0xCD9E8D59u"),
        ("0x9E3779B9u", "0x9E3779BBu"),
        ("0xBB67AE85u", "0xBB67AE87u"),
        ("round < 10", "round < 7"),
        ("c0 = block, c1 = model", "c0 = model, c1 = block"),
        ("static_cast<uint32_t>(seed >> 32)", "0"),
        ("static_cast<uint32_t>(name_hash >> 32)", "0"),
        ("words[1] = c1", "words[1] = c2"),
    ),
    *_changes(
        "kernels/convert.h",
        ("(u + 0x7fffu + ((u >> 16) & 1u)) >> 16", "(u + 0x8000u) >> 16"),
        ("const uint32_t odd = (magnitude >> kDropped) & 1u;", "const uint32_t odd = 1;"),
        ("return magnitude < kSmallestNormal ? subnormal : normal;", "return normal;"),
        ("<< 16); }", "<< 17); }", "bf16 widens by 17 bits"),
        ("0x1p112f", "0x1p111f"),
        ("0x1p120f", "0x1p119f"),
    ),
]
