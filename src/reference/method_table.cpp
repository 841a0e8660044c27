// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The table of methods, and how a job's parameters are looked up in it.
#include "src/reference/entry.h"

#include <algorithm>

namespace gpumerge {
namespace {

struct Table {
  std::vector<ReferenceMethod> methods;
  std::vector<MethodRow> rows;
  Table() {
    for (ReferenceMethodsOfFile file : ReferenceMethodFiles())
      for (const ReferenceMethod& method : file()) methods.push_back(method);
    std::sort(methods.begin(), methods.end(),
              [](const auto& a, const auto& b) { return a.row.info->name < b.row.info->name; });
    for (const ReferenceMethod& method : methods) rows.push_back(method.row);
  }
};

const Table& TheTable() {
  static const Table table;
  return table;
}

const std::vector<double>& ParamValues(const MergeJob& job, std::string_view name) {
  const std::span<const ParamSpec> specs = Methods()[job.method].info->params;
  for (size_t p = 0; p < specs.size(); ++p)
    if (specs[p].name == name && p < job.params.size() && !job.params[p].values.empty()) return job.params[p].values;
  throw Error({.code = ErrorCode::kInternal,
               .message = "a job of method " + std::string(Methods()[job.method].info->name) + " lacks its parameter " +
                          std::string(name)});
}

}  // namespace

std::span<const MethodRow> Methods() { return TheTable().rows; }
std::span<const ReferenceMethod> ReferenceMethods() { return TheTable().methods; }

const MethodRow* FindMethod(std::string_view name) {
  for (const MethodRow& row : Methods())
    if (row.info->name == name) return &row;
  return nullptr;
}

double MergeJob::Shared(std::string_view name) const { return ParamValues(*this, name).front(); }

double MergeJob::PerModel(std::string_view name, uint32_t m) const {
  return ParamValues(*this, name).at(m + (has_base ? 1u : 0u));
}

}  // namespace gpumerge
