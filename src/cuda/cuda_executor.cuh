// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The executor that turns one step of a recipe into a request for a kernel launch. The recipe runs on the host, again
// for every step of every part; nothing is launched here. Compiled once for each header of kernels/methods/.
#pragma once

#include "kernels/groups.cuh"
#include "kernels/map.cuh"
#include "kernels/rank.cuh"
#include "kernels/reduce.cuh"
#include "kernels/select.cuh"
#include "src/cuda/cuda_check.h"
#include "src/cuda/entry.h"

#include <array>
#include <cstring>
#include <type_traits>

namespace gpumerge::GM_TARGET {

using Kernel = void (*)(const DevicePart*, uint32_t, const std::byte*);

template <Kernel kKernel>
void Launch(const DevicePart* parts, uint32_t n_parts, uint32_t n_blocks, const std::byte* functors,
            CUstream_st* stream) {
  kKernel<<<n_blocks, kThreads, 0, stream>>>(parts, n_parts, functors);
  GM_CUDA_TRY(cudaGetLastError());
}

class CudaExecutor {
 public:
  CudaExecutor(const StepCall& call, StepRequest* request) : call_(call), request_(*request) {}

  const MergeJob& job() const { return *call_.job; }

  template <class Key>
  const Selection* Select(const Key& key, const uint64_t* counts) {
    return Select(key, counts, job().n_models());
  }

  template <class Key>
  const Selection* Select(const Key& key, const uint64_t* counts, uint32_t n) {
    static_assert(!kRanks<Key>, "selections do not see ranks");
    const PassResult& pass = call_.passes[next_pass_];
    if (next_pass_++ != call_.pass) return pass.selections;
    Take(key, nullptr);
    switch (call_.step) {
      case DeviceStep::kSelectWhole:
        request_.launch = Launch<SelectWholeKernel<Key>>;
        break;
      case DeviceStep::kCountHigh:
        request_.launch = Launch<CountKernel<Key, true>>;
        break;
      case DeviceStep::kEndHigh:
        request_.launch = LaunchEndHigh;
        break;
      case DeviceStep::kCountLow:
        request_.launch = Launch<CountKernel<Key, false>>;
        break;
      case DeviceStep::kEndLow:
        request_.launch = LaunchEndLow;
        break;
      case DeviceStep::kCountTies:
        request_.launch = Launch<CountTiesKernel<Key>>;
        break;
      case DeviceStep::kFindTie:
        request_.launch = Launch<FindTieKernel<Key>>;
        break;
      default:
        break;
    }
    request_.wanted.assign(counts, counts + n);
    return pass.selections;
  }

  template <class Sum>
  const double* Reduce(const Sum& sum, uint32_t, ReduceOp, const Selection* kept = nullptr) {
    const PassResult& pass = call_.passes[next_pass_];
    if (next_pass_++ != call_.pass) return pass.sums;
    if (call_.step == DeviceStep::kReduce) {
      Take(sum, kept);
      request_.launch = Launch<ReduceKernel<Sum>>;
    } else if (call_.step == DeviceStep::kEndReduce) {
      request_.launch = LaunchEndReduce;
    } else {
      Rank<Sum>();
    }
    return pass.sums;
  }

  template <class Sum, class Finish>
  void ReduceGroups(const Sum& sum, uint32_t n_values, ReduceOp, const Finish& finish) {
    constexpr GroupAxis kAxis = GroupsOf<Sum>();
    static_assert(kAxis != GroupAxis::kNone);
    if (next_pass_++ != call_.pass) return;
    switch (call_.step) {
      case DeviceStep::kSumGroups:
        Take(sum, nullptr);
        if constexpr (kAxis == GroupAxis::kRows) {
          request_.launch = Launch<SumRowsKernel<Sum>>;
        } else {
          request_.launch = Launch<SumColumnsKernel<Sum>>;
        }
        break;
      case DeviceStep::kSendGroups:
        request_.launch = LaunchSendGroups;
        break;
      case DeviceStep::kStoreGroups:
        FinishGroups(n_values, kAxis == GroupAxis::kRows ? job().row_elems() : job().column_elems(), finish);
        request_.launch = LaunchStoreGroups;
        break;
      default:
        Rank<Sum>();
    }
  }

  template <class Element>
  void Map(const Element& element, const Selection* kept = nullptr) {
    if (next_pass_++ != call_.pass) return;
    if (call_.step == DeviceStep::kMap) {
      Take(element, kept);
      request_.launch = Launch<MapKernel<Element>>;
    } else {
      Rank<Element>();
    }
  }

  void NoteLerp() { request_.used_lerp = call_.step == DeviceStep::kMap; }
  void Fail(const DataProblem& problem) {
    if (call_.step == DeviceStep::kMap && job().n_elems > 0) request_.problem = &problem;
  }

 private:
  template <class Functor>
  void Rank() {
    if constexpr (kRanks<Functor>)
      if (call_.step == DeviceStep::kRank) request_.launch = Launch<RankKernel<typename Functor::RankKey>>;
  }

  template <class Finish>
  void FinishGroups(uint32_t n_values, uint64_t group_elems, const Finish& finish) {
    for (size_t group = 0; group < call_.n_groups; ++group) {
      const DataProblem* const problem = FinishGroup(finish, call_.group_sums + group * n_values, group_elems,
                                                     call_.group_values + group * Finish::kGroupValues);
      if (request_.problem == nullptr) request_.problem = problem;
    }
  }

  template <class Functor>
  void Take(const Functor& functor, const Selection* kept) {
    static_assert(std::is_trivially_copyable_v<Functor>);
    request_.functor.resize(sizeof functor);
    std::memcpy(request_.functor.data(), static_cast<const void*>(&functor), sizeof functor);
    request_.kept = kept;
  }

  const StepCall& call_;
  StepRequest& request_;
  uint32_t next_pass_ = 0;
};

template <class Method>
void RequestStep(const StepCall& call, StepRequest* request) {
  CudaExecutor executor(call, request);
  Method::Recipe(executor);
}

template <class... Methods>
std::span<const CudaMethod> CudaMethodsIn(MethodList<Methods...>) {
  static const std::array kMethods{CudaMethod{Methods::Info().name, RequestStep<Methods>}...};
  return kMethods;
}

}  // namespace gpumerge::GM_TARGET
