// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// karcher: the mean of the models' directions on the sphere (Riemannian centre of mass), as long as the mean of their
// lengths (arXiv:2603.04972).
//   u_m = x_m / |x_m|;  u = mean of the u_m, normalised;  then up to max_iter times
//   T = mean of (A_m / sin A_m) (u_m - cos A_m u), A_m = angle of u and u_m;  u = cos|T| u + sin|T| T/|T|
//   until |T| < tol;  out = u * mean of |x_m|
//
// Mirrors mergekit's karcher. u never leaves the span of the models, so that the iteration works on one coefficient a
// model, in fp64, and the data is read twice whatever max_iter is.
#pragma once

#include "kernels/gram.h"

#include <cmath>

namespace gpumerge::GM_TARGET {

// A point u = sum_m c_m u_m in the span of unit vectors with the inner products g.
struct SphereSpan {
  uint32_t n;
  double g[kMaxGramModels][kMaxGramModels];

  double WithUnit(const double* c, uint32_t m) const {
    double sum = 0;
    for (uint32_t k = 0; k < n; ++k) sum += c[k] * g[m][k];
    return sum;
  }
  double Length(const double* c) const {
    double square = 0;
    for (uint32_t m = 0; m < n; ++m) square += c[m] * WithUnit(c, m);
    return square > 0 ? std::sqrt(square) : 0;
  }
  // Leaves c as it is when it is shorter than `shortest`, and returns false.
  bool Normalise(double* c, double shortest) const {
    const double length = Length(c);
    if (length < shortest || length == 0) return false;
    for (uint32_t m = 0; m < n; ++m) c[m] /= length;
    return true;
  }
};

struct Karcher {
  static constexpr DataProblem kOpposite{"a model's direction is opposite to the mean direction, so no arc leads there",
                                         "leave that model out of this tensor's merge, or merge it with linear"};

  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {{.name = "max_iter",
                                             .type = ParamType::kInt,
                                             .default_value = 10,
                                             .min = 0,
                                             .max = 10'000,
                                             .help = "most steps towards the mean"},
                                            {.name = "tol",
                                             .default_value = 1e-5,
                                             .min = 0,
                                             .max = 1,
                                             .help = "a shorter step is the last; shorter tensors have no direction"}};
    static constexpr std::string_view kRemarks[] = {
        "All models count alike; a configured base_model is one more model.",
        "A model within tol of the opposite of the mean is an error (NUM-SINGULAR); mergekit divides by a sine of "
        "zero.",
        "A tensor no longer than tol in one model counts with its length only, as in mergekit. Where that is all "
        "models "
        "the result is their mean; mergekit writes zeros.",
        "mergekit rounds directions and the final length to the inputs' type; here all of that is float64.",
        "At most 15 models: their inner products are taken in one pass."};
    static constexpr MethodInfo kInfo{
        .name = "karcher",
        .summary = "mean of the models on the sphere, with their mean length",
        .formula = "out = u * mean_m |x_m|, u = the point with mean_m log_u(x_m / |x_m|) = 0",
        .reference = "Karcher mean, arXiv:2603.04972; mergekit karcher",
        .base = BaseUse::kOrdinaryInput,
        .max_models = kMaxGramModels,
        .params = kParams,
        .remarks = kRemarks};
    return kInfo;
  }
  static bool IsCopy(const MergeJob& job) { return job.inputs.size() == 1; }

  template <class X>
  static void Recipe(X& x) {
    DispatchModels(x.job().n_models(), [&](auto models) { Passes<models()>(x); });
  }

 private:
  template <int kModels, class X>
  static void Passes(X& x) {
    const MergeJob& job = x.job();
    CombinationElement<kModels> element;
    element.n_models = {job.n_models()};
    element.first_model = 0;
    element.from_base = false;
    for (float& factor : element.factor) factor = 1;
    if (job.n_models() > 1) {
      GramSums<kModels, false> sums;
      sums.n_models = {job.n_models()};
      const double* gram = x.Reduce(sums, GramValues(job.n_models()), ReduceOp::kSum);
      if (!SetFactors(job, gram, element.factor)) x.Fail(kOpposite);
    }
    x.Map(element);
  }

  // False: a model is opposite to the mean.
  static bool SetFactors(const MergeJob& job, const double* gram, float* factor) {
    const double tol = job.Shared("tol");
    const uint32_t n_models = job.n_models();
    double mean_length = 0;
    double norm[kMaxGramModels];
    uint32_t model[kMaxGramModels];  // that has a direction
    SphereSpan span;
    span.n = 0;
    for (uint32_t m = 0; m < n_models; ++m) {
      norm[m] = std::sqrt(gram[GramIndex(m, m)]);
      mean_length += norm[m] / n_models;
      if (norm[m] > tol) model[span.n++] = m;
    }
    for (uint32_t m = 0; m < n_models; ++m) factor[m] = span.n == 0 ? 1.0f / static_cast<float>(n_models) : 0.0f;
    for (uint32_t a = 0; a < span.n; ++a)
      for (uint32_t b = 0; b < span.n; ++b)
        span.g[a][b] = gram[GramIndex(model[a], model[b])] / (norm[model[a]] * norm[model[b]]);
    double c[kMaxGramModels];
    const bool found = FindMean(span, static_cast<uint32_t>(job.Shared("max_iter")), tol, c);
    for (uint32_t a = 0; a < span.n; ++a) factor[model[a]] = static_cast<float>(c[a] * mean_length / norm[model[a]]);
    return found;
  }

  static bool FindMean(const SphereSpan& span, uint32_t max_iter, double tol, double* c) {
    for (uint32_t m = 0; m < span.n; ++m) c[m] = 1.0 / span.n;
    if (span.n > 0 && !span.Normalise(c, tol))
      for (uint32_t m = 0; m < span.n; ++m) c[m] = m == 0 ? 1 : 0;
    for (uint32_t step = 0; step < max_iter; ++step) {
      double tangent[kMaxGramModels];
      if (!Tangent(span, c, tol, tangent)) return false;
      const double length = span.Length(tangent);
      if (length < tol || length == 0) break;
      for (uint32_t m = 0; m < span.n; ++m) c[m] = std::cos(length) * c[m] + std::sin(length) * (tangent[m] / length);
      span.Normalise(c, tol);
    }
    return true;
  }

  // The mean of the arcs from c to every unit vector. False: one of them is opposite.
  static bool Tangent(const SphereSpan& span, const double* c, double tol, double* tangent) {
    for (uint32_t m = 0; m < span.n; ++m) tangent[m] = 0;
    for (uint32_t m = 0; m < span.n; ++m) {
      double cosine = span.WithUnit(c, m);
      cosine = cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
      const double angle = std::acos(cosine), sine = std::sin(angle);
      if (angle < tol || angle == 0) continue;
      if (cosine < 0 && sine <= (tol > 1e-7 ? tol : 1e-7)) return false;
      const double share = angle / sine / span.n;
      tangent[m] += share;
      for (uint32_t k = 0; k < span.n; ++k) tangent[k] -= share * cosine * c[k];
    }
    return true;
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Karcher)
