// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The reference executor: one element after the other, whole tensors, a stable sort. It is written to be obviously
// right, not fast; the other executors are compared with it bit for bit. Compiled once for each header of
// kernels/methods/.
#pragma once

#include "kernels/convert.h"
#include "kernels/philox.h"
#include "kernels/recipe.h"
#include "src/reference/entry.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <vector>

namespace gpumerge::GM_TARGET {

inline float Load(DType dtype, const std::byte* tensor, uint64_t i) {
  const auto read = [&](auto value) {
    std::memcpy(&value, tensor + i * sizeof value, sizeof value);
    return value;
  };
  switch (dtype) {
    case DType::kF32:
      return read(float{});
    case DType::kBF16:
      return FromBf16(read(uint16_t{}));
    case DType::kF16:
      return FromF16(read(uint16_t{}));
    case DType::kF8E4M3:
      return FromF8E4M3(read(uint8_t{}));
    case DType::kF8E5M2:
      return FromF8E5M2(read(uint8_t{}));
    case DType::kF64:
      return FromF64(read(double{}));
    default:
      throw Error({.code = ErrorCode::kInternal, .message = "a job has an input type without arithmetic"});
  }
}

// Returns false when the stored value is infinite or NaN.
inline bool Store(DType dtype, float value, std::byte* tensor, uint64_t i) {
  const uint32_t magnitude = Bits(value) & kMagnitudeMask;
  const auto write = [&](auto stored, uint32_t overflow_bits) {
    std::memcpy(tensor + i * sizeof stored, &stored, sizeof stored);
    return magnitude < overflow_bits;
  };
  switch (dtype) {
    case DType::kF32:
      return write(value, kInfinityBits);
    case DType::kBF16:
      return write(ToBf16(value), kBf16OverflowBits);
    case DType::kF16:
      return write(ToF16(value), kF16OverflowBits);
    case DType::kF8E4M3:
      return write(ToF8E4M3(value), kF8E4M3OverflowBits);
    case DType::kF8E5M2:
      return write(ToF8E5M2(value), kF8E5M2OverflowBits);
    case DType::kF64:
      return write(static_cast<double>(value), kInfinityBits);
    default:
      throw Error({.code = ErrorCode::kInternal, .message = "a job has an output type without arithmetic"});
  }
}

class ReferenceExecutor {
 public:
  explicit ReferenceExecutor(const ReferenceCall& call) : call_(call), job_(*call.job), x_(job_.inputs.size()) {}

  const MergeJob& job() const { return job_; }

  template <class Key>
  const Selection* Select(const Key& key, const uint64_t* counts) {
    selections_.assign(job_.n_models(), Selection{});
    for (uint32_t m = 0; m < job_.n_models(); ++m) {
      std::vector<uint32_t> keys(job_.n_elems);
      for (uint64_t i = 0; i < job_.n_elems; ++i) {
        LoadAll(i);
        keys[i] = key(At<float>{{x_.data(), 1}, {nullptr, 1}, 0}, m);
      }
      std::vector<uint64_t> order(job_.n_elems);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](uint64_t a, uint64_t b) { return keys[a] > keys[b]; });
      const uint64_t last_kept = counts[m] == 0 ? 0 : order[counts[m] - 1];
      selections_[m] = counts[m] == 0 ? kKeepNone : Selection{keys[last_kept], last_kept + 1};
    }
    return selections_.data();
  }

  template <class Sum>
  const double* Reduce(Sum sum, uint32_t n_values, ReduceOp op, const Selection* kept = nullptr) {
    sum.Bind(kept);
    const auto combine = [op](double a, double b) { return op == ReduceOp::kSum ? a + b : std::max(a, b); };
    // Neighbours are paired until one is left; an odd last one moves up unchanged.
    const auto tree = [&](std::vector<double> level) {
      while (level.size() > 1) {
        for (size_t pair = 0; pair < level.size() / 2; ++pair)
          level[pair] = combine(level[2 * pair], level[2 * pair + 1]);
        if (level.size() % 2 == 1) level[level.size() / 2] = level.back();
        level.resize((level.size() + 1) / 2);
      }
      return level.empty() ? 0.0 : level[0];
    };
    std::vector<std::vector<double>> blocks(n_values);  // (n_values, n_blocks)
    for (uint64_t begin = 0; begin < job_.n_elems; begin += kBlockElems) {
      std::vector<std::vector<double>> lanes(n_values, std::vector<double>(64, 0.0));
      for (uint64_t i = begin; i < std::min(begin + kBlockElems, job_.n_elems); ++i) {
        std::vector<double> values(n_values);
        sum(Prepare(sum, i), values.data());
        for (uint32_t v = 0; v < n_values; ++v) lanes[v][i % 64] = combine(lanes[v][i % 64], values[v]);
      }
      for (uint32_t v = 0; v < n_values; ++v) blocks[v].push_back(tree(lanes[v]));
    }
    sums_.clear();
    for (uint32_t v = 0; v < n_values; ++v) sums_.push_back(tree(blocks[v]));
    return sums_.data();
  }

  template <class Element>
  void Map(Element element, const Selection* kept = nullptr) {
    element.Bind(kept);
    call_.result->inputs.assign(job_.inputs.size(), std::nullopt);
    for (uint64_t i = 0; i < job_.n_elems; ++i) {
      const At<float> at = Prepare(element, i);
      const float value = element(at);
      bool finite_inputs = true;
      for (size_t input = 0; input < x_.size(); ++input) {
        if ((Bits(x_[input]) & kMagnitudeMask) < kInfinityBits) continue;
        finite_inputs = false;
        Note(call_.result->inputs[input], i, 0);
      }
      if (!Store(job_.out_dtype, value, call_.output, i) && finite_inputs) Note(call_.result->overflow, i, value);
    }
  }

  void NoteLerp() { call_.result->used_lerp = true; }

 private:
  void LoadAll(uint64_t i) {
    for (size_t input = 0; input < x_.size(); ++input)
      x_[input] = Load(job_.inputs[input].dtype, call_.inputs[input], i);
  }

  // Everything a functor reads at flat index i.
  template <class Functor>
  At<float> Prepare(Functor& functor, uint64_t i) {
    LoadAll(i);
    if constexpr (Functor::kDraws) {
      const PhiloxKey key = MakePhiloxKey(job_.seed, job_.name_hash);
      draws_.resize(job_.n_models());
      for (uint32_t m = 0; m < job_.n_models(); ++m) {
        uint32_t words[4];
        Philox(key, job_.inputs[m + (job_.has_base ? 1u : 0u)].model_index, static_cast<uint32_t>(i / 4), words);
        draws_[m] = words[i % 4];
      }
    }
    functor.MoveTo(i / 4 * 4);
    return {{x_.data(), 1}, {draws_.data(), 1}, static_cast<uint32_t>(i % 4)};
  }

  static void Note(std::optional<NonFinite>& found, uint64_t i, float value) {
    if (!found) found = NonFinite{i, 0, 0};
    ++found->count;
    if ((Bits(value) & kMagnitudeMask) < kInfinityBits)
      found->largest_finite = std::max(found->largest_finite, FromBits(Bits(value) & kMagnitudeMask));
  }

  const ReferenceCall call_;
  const MergeJob& job_;
  std::vector<float> x_;               // (n_inputs) at the current index
  std::vector<uint32_t> draws_;        // (n_models)
  std::vector<Selection> selections_;  // (n_models)
  std::vector<double> sums_;           // (n_values)
};

// The rows of the methods of one file.
template <class Method>
std::optional<JobProblem> CheckJob(const MergeJob& job) {
  if constexpr (requires { Method::Check(job); }) return Method::Check(job);
  return std::nullopt;
}

template <class Method>
bool JobIsCopy(const MergeJob& job) {
  if constexpr (requires { Method::IsCopy(job); }) return Method::IsCopy(job);
  return false;
}

template <class Method>
PassList CountPasses(const MergeJob& job) {
  PassCounter counter(job);
  Method::Recipe(counter);
  return counter.passes();
}

template <class Method>
void RunReference(const ReferenceCall& call) {
  ReferenceExecutor executor(call);
  Method::Recipe(executor);
}

template <class... Methods>
std::span<const ReferenceMethod> ReferenceMethodsIn(MethodList<Methods...>) {
  static const std::array kMethods{ReferenceMethod{
      {&Methods::Info(), CountPasses<Methods>, CheckJob<Methods>, JobIsCopy<Methods>}, RunReference<Methods>}...};
  return kMethods;
}

}  // namespace gpumerge::GM_TARGET
