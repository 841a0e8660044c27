// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// task_arithmetic, ties, dare_linear, dare_ties: sums of sparsified task vectors; the formula is in task_merge.h, the
// options of the election in sign_election.h.
// Task Arithmetic arXiv:2212.04089, TIES arXiv:2306.01708, DARE arXiv:2311.03099.
//
// Mirrors mergekit's task_arithmetic, ties, dare_linear and dare_ties. Differs: arithmetic is fp32 whatever the input
// type; exactly trunc(density * n) elements are kept, ties by lowest index; DARE draws are seeded and counted, and
// rescale: true is 1/density for DARE as in the paper (l1 is mergekit's rule); weights that sum to zero are refused
// with normalize.
#pragma once

#include "kernels/recipe.h"
#include "kernels/task_merge.h"

namespace gpumerge::GM_TARGET {

struct TaskArithmetic : TaskArithmeticFamily<Sparsify::kNone, Consensus::kNone> {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {kWeight,        kDensityUnused, Normalize(false),
                                            kRescaleUnused, kLambda,        kInt8Mask};
    static constexpr PresetValue kAsMergekit[] = {With("normalize", false), With("lambda", 1)};
    static constexpr Preset kPresets[] = {{"mergekit", "the defaults", kAsMergekit}};
    static constexpr std::string_view kRemarks[] = {
        kFp32Remark,
        "a negative weight takes a skill away; an analogy (A is to B as C is to what?) is A with -1, B and C "
        "with 1: configs/task_negation.yaml and configs/task_analogy.yaml",
        "with normalize, weights that sum to zero are refused while planning; mergekit divides by 1"};
    static constexpr MethodInfo kInfo{.name = "task_arithmetic",
                                      .summary = "adds the models' differences to the base",
                                      .formula = "out = base + lambda * sum_m w_m (x_m - base)",
                                      .reference = "Task Arithmetic, arXiv:2212.04089",
                                      .base = BaseUse::kRequired,
                                      .params = kParams,
                                      .presets = kPresets,
                                      .remarks = kRemarks};
    return kInfo;
  }
};

struct Ties : TaskArithmeticFamily<Sparsify::kTrim, Consensus::kElectSign> {
  static constexpr PresetValue kAsMergekit[] = {With("normalize", true),
                                                With("rescale", Rescale::kFalse),
                                                With("trim_scope", TrimScope::kTensor),
                                                With("tie_break", TieBreak::kLowestIndex),
                                                With("sign", SignRule::kSum),
                                                With("zero_sign", ZeroSign::kPlus),
                                                With("elect_on", ElectOn::kWeighted),
                                                With("divide_by", DivideBy::kWeights)};
  static constexpr PresetValue kAsPaper[] = {
      With("normalize", true),           With("rescale", Rescale::kFalse),   With("trim_scope", TrimScope::kModel),
      With("tie_break", TieBreak::kAll), With("sign", SignRule::kSum),       With("zero_sign", ZeroSign::kMajority),
      With("elect_on", ElectOn::kRaw),   With("divide_by", DivideBy::kCount)};
  static constexpr PresetValue kAsPeft[] = {With("normalize", true),
                                            With("rescale", Rescale::kFalse),
                                            With("trim_scope", TrimScope::kTensor),
                                            With("tie_break", TieBreak::kLowestIndex),
                                            With("sign", SignRule::kSum),
                                            With("zero_sign", ZeroSign::kPlus),
                                            With("elect_on", ElectOn::kRaw),
                                            With("divide_by", DivideBy::kCount)};

  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {kWeight, kDensity,  Normalize(true), RescaleParam(Rescale::kFalse),
                                            kLambda, kInt8Mask, kTrimScope,      kTieBreak,
                                            kSign,   kZeroSign, kElectOn,        kDivideBy};
    static constexpr Preset kPresets[] = {
        {"mergekit", "trims every tensor, elects on weighted sums, divides by weights: the defaults", kAsMergekit},
        {"paper", "trims the whole model with all ties, elects on plain sums, divides by the count", kAsPaper},
        {"peft", "trims every tensor, elects on plain sums, divides by the count", kAsPeft}};
    static constexpr std::string_view kRemarks[] = {
        "exactly trunc(density * n) elements of a difference are kept, at least one when density > 0; of equal ones "
        "those "
        "at the lowest index. mergekit's sort leaves it open which of them it keeps",
        kFp32Remark,
        kEvenVoteRemark,
        kZeroSumRemark,
        kMixedSignsRemark,
        kZeroWeightRemark,
        "preset paper: the authors' code keeps one element more than trunc(density * n) of the whole model, and where "
        "the "
        "majority itself is zero the negative differences; here such elements keep the base",
        "preset peft: PEFT trims LoRA factors, here the same rules work on whole tensors; it keeps nothing of a tensor "
        "with density * n < 1, here one element is kept",
        "zero_sign: majority with trim_scope: model cannot be combined with rescale by a norm of single tensors"};
    static constexpr MethodInfo kInfo{
        .name = "ties",
        .summary = "trims each difference to its largest elements, elects a sign, averages what agrees with it",
        .formula = "out = base + lambda * sum_agreeing w_m trim(x_m - base) / sum_agreeing w_m",
        .reference = "TIES-Merging, arXiv:2306.01708",
        .base = BaseUse::kRequired,
        .params = kParams,
        .presets = kPresets,
        .remarks = kRemarks};
    return kInfo;
  }
};

struct DareLinear : TaskArithmeticFamily<Sparsify::kDrop, Consensus::kNone> {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {kWeight, kDensity, Normalize(false), RescaleParam(Rescale::kTrue),
                                            kLambda, kInt8Mask};
    static constexpr PresetValue kAsMergekit[] = {With("normalize", false), With("rescale", Rescale::kL1)};
    static constexpr PresetValue kAsPaper[] = {With("normalize", false), With("rescale", Rescale::kTrue)};
    static constexpr Preset kPresets[] = {
        {"mergekit", "grows what is kept so that each tensor keeps its l1 norm", kAsMergekit},
        {"paper", "grows what is kept by 1/density: the defaults", kAsPaper},
        {"peft", "as the paper", kAsPaper}};
    static constexpr std::string_view kRemarks[] = {
        kSeededRemark, kL1Remark, kFp32Remark, "density 0 gives a difference of zeros; PEFT divides zero by zero there",
        "with normalize, weights that sum to zero are refused while planning; mergekit divides by 1"};
    static constexpr MethodInfo kInfo{
        .name = "dare_linear",
        .summary = "drops elements of each difference at random, grows the rest, adds them",
        .formula = "out = base + lambda * sum_m w_m drop(x_m - base) / density_m",
        .reference = "DARE, arXiv:2311.03099",
        .base = BaseUse::kRequired,
        .params = kParams,
        .presets = kPresets,
        .remarks = kRemarks};
    return kInfo;
  }
};

struct DareTies : TaskArithmeticFamily<Sparsify::kDrop, Consensus::kElectSign> {
  static constexpr PresetValue kAsMergekit[] = {
      With("normalize", false),           With("rescale", Rescale::kL1),        With("sign", SignRule::kSum),
      With("zero_sign", ZeroSign::kPlus), With("elect_on", ElectOn::kWeighted), With("divide_by", DivideBy::kWeights)};
  static constexpr PresetValue kAsPaper[] = {With("normalize", true),         With("rescale", Rescale::kTrue),
                                             With("sign", SignRule::kSum),    With("zero_sign", ZeroSign::kMajority),
                                             With("elect_on", ElectOn::kRaw), With("divide_by", DivideBy::kCount)};
  static constexpr PresetValue kAsPeft[] = {With("normalize", true),         With("rescale", Rescale::kTrue),
                                            With("sign", SignRule::kSum),    With("zero_sign", ZeroSign::kPlus),
                                            With("elect_on", ElectOn::kRaw), With("divide_by", DivideBy::kCount)};

  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        kWeight,   kDensity, Normalize(false), RescaleParam(Rescale::kTrue), kLambda, kInt8Mask, kSign,
        kZeroSign, kElectOn, kDivideBy};
    static constexpr Preset kPresets[] = {
        {"mergekit", "rescale: l1, elects on weighted sums, adds what agrees", kAsMergekit},
        {"paper", "grows by 1/density, elects on plain sums, divides by the count", kAsPaper},
        {"peft", "as the paper, but an even vote elects plus", kAsPeft}};
    static constexpr std::string_view kRemarks[] = {
        kSeededRemark,
        kL1Remark,
        kFp32Remark,
        kEvenVoteRemark,
        kZeroSumRemark,
        kMixedSignsRemark,
        "preset paper elects and merges as TIES' authors do; their trimming is not applied on top of the dropping"};
    static constexpr MethodInfo kInfo{
        .name = "dare_ties",
        .summary = "drops elements of each difference at random, grows the rest, elects a sign, adds what agrees",
        .formula = "out = base + lambda * sum_agreeing w_m drop(x_m - base) / density_m",
        .reference = "DARE, arXiv:2311.03099; TIES-Merging, arXiv:2306.01708",
        .base = BaseUse::kRequired,
        .params = kParams,
        .presets = kPresets,
        .remarks = kRemarks};
    return kInfo;
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(TaskArithmetic, Ties, DareLinear, DareTies)
