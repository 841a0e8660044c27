// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Every golden case (scripts/make_goldens.py explains the files) on the reference executor and on the CPU backend,
// whole and streamed, with each instruction set: the contract's cases bit for bit, those of papers and of mergekit
// within the tolerance that they state. And that no method, parameter or example recipe goes without.
#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/io/safetensors_header.h"
#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <set>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names
using nlohmann::json;
namespace fs = std::filesystem;

const fs::path kGolden = fs::path(GPUMERGE_SOURCE_DIR) / "tests/golden";

struct Tensor {
  DType dtype;
  std::vector<uint64_t> shape;
  std::vector<std::byte> bytes;
};

std::map<std::string, Tensor> ReadTensors(const fs::path& path) {
  const std::string file = ReadSmallFile(path, 1 << 20);
  const uint64_t header_bytes = ParseHeaderLength(file.substr(0, 8), file.size(), path);
  const SafetensorsHeader header =
      ParseSafetensorsHeader(std::string_view(file).substr(8, header_bytes), file.size(), path);
  std::map<std::string, Tensor> tensors;
  for (const HeaderTensor& entry : header.tensors) {
    const auto* begin = reinterpret_cast<const std::byte*>(file.data()) + header.data_begin_bytes + entry.offset_bytes;
    tensors[entry.name] = {entry.dtype, entry.shape, {begin, begin + entry.size_bytes}};
  }
  return tensors;
}

json ReadJson(const fs::path& path) { return json::parse(ReadSmallFile(path, 1 << 20)); }

// One value of a parameter as a job holds it.
double ParamValue(const ParamSpec& spec, const json& value) {
  if (spec.type == ParamType::kChoice) {
    const std::string name = value.is_boolean() ? (value.get<bool>() ? "true" : "false") : value.get<std::string>();
    for (size_t c = 0; c < spec.choices.size(); ++c)
      if (spec.choices[c] == name) return static_cast<double>(c);
    throw std::invalid_argument("no choice " + name);
  }
  if (spec.type == ParamType::kBool) return value.get<bool>() ? 1 : 0;
  return value.get<double>();
}

std::map<std::string, std::vector<double>> ParamValues(const MethodInfo& info, const json& params) {
  std::map<std::string, std::vector<double>> values;
  for (const ParamSpec& spec : info.params) {
    if (!params.contains(spec.name)) continue;
    const json& given = params.at(std::string(spec.name));
    for (const json& value : given.is_array() ? given : json::array({given}))
      values[std::string(spec.name)].push_back(ParamValue(spec, value));
  }
  return values;
}

// The job of a case; parameters that it leaves out get the method's defaults.
TestJob JobOfCase(const fs::path& folder, const json& text) {
  const std::string method = text.at("method");
  const MethodInfo& info = *Methods()[MethodNumber(method)].info;
  const std::map<std::string, Tensor> tensors = ReadTensors(folder / "inputs.safetensors");
  for (const auto& [name, unused] : text.at("params").items())
    if (std::none_of(info.params.begin(), info.params.end(), [&](const ParamSpec& p) { return p.name == name; }))
      throw std::invalid_argument("no parameter " + name);
  TestJob test;
  MergeJob& job = test.job;
  job.method = MethodNumber(method);
  job.has_base =
      info.base == BaseUse::kRequired || (info.base == BaseUse::kOptional && text.at("has_base").get<bool>());
  job.shape = text.at("shape").get<std::vector<uint64_t>>();
  job.n_elems = 1;
  for (const uint64_t extent : job.shape) job.n_elems *= extent;
  for (size_t i = 0; i < text.at("inputs").size(); ++i) {
    const Tensor& tensor = tensors.at(text.at("inputs")[i]);
    if (tensor.shape != job.shape) throw std::invalid_argument("an input of another shape");
    const bool is_base = job.has_base && i == 0;
    job.inputs.push_back(
        {tensor.dtype, is_base ? 0 : text.at("model_indices").at(i - (job.has_base ? 1 : 0)).get<uint32_t>()});
    test.inputs.push_back(tensor.bytes);
  }
  job.out_dtype = ParseSafetensorsDType(text.at("out_dtype").get<std::string>()).value();
  job.seed = text.at("seed");
  job.name_hash = NameHash(text.at("tensor_name").get<std::string>());
  for (const json& selection : text.value("model_selections", json::array()))
    job.model_selections.push_back({selection.at(0).get<uint32_t>(), selection.at(1).get<uint64_t>()});
  job.model_majority = text.value("model_majority", 0.0);
  const auto values = ParamValues(info, text.at("params"));
  for (const ParamSpec& param : info.params) job.params.push_back(ResolveParam(param, job, values));
  return test;
}

void ExpectBits(const TestJob& test, const std::vector<std::byte>& result, const Tensor& expected) {
  ASSERT_EQ(expected.dtype, test.job.out_dtype);
  ASSERT_EQ(result.size(), expected.bytes.size());
  const size_t elem_bytes = ElementBytes(expected.dtype);
  const std::vector<float> got = Widened(expected.dtype, result), wanted = Widened(expected.dtype, expected.bytes);
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(std::memcmp(result.data() + i * elem_bytes, expected.bytes.data() + i * elem_bytes, elem_bytes), 0)
        << "element " << i << ": " << std::hexfloat << got[i] << " instead of " << wanted[i];
}

void ExpectWithin(double tolerance, const TestJob& test, const std::vector<std::byte>& result, const Tensor& expected) {
  const std::vector<float> got = Widened(test.job.out_dtype, result);
  ASSERT_EQ(got.size() * ElementBytes(expected.dtype), expected.bytes.size());
  for (size_t i = 0; i < got.size(); ++i) {
    double wanted = 0;
    if (expected.dtype == DType::kF64) {
      std::memcpy(&wanted, expected.bytes.data() + i * sizeof(double), sizeof(double));
    } else {
      ASSERT_EQ(expected.dtype, DType::kF32);
      wanted = static_cast<double>(
          Widened(expected.dtype, {expected.bytes.data() + i * 4, expected.bytes.data() + i * 4 + 4})[0]);
    }
    // Written so that a NaN fails.
    ASSERT_TRUE(std::fabs(static_cast<double>(got[i]) - wanted) <= tolerance)
        << "element " << i << ": " << got[i] << " instead of " << wanted << ", tolerance " << tolerance;
  }
}

void ExpectResult(const json& tolerance, const TestJob& test, const TestResult& result, const Tensor& expected) {
  for (uint32_t i = 0; i < test.job.inputs.size(); ++i) EXPECT_FALSE(result.state->InputNonFinite(i).has_value());
  EXPECT_FALSE(result.state->OutputOverflow().has_value());
  if (tolerance.at("kind") == "bits") {
    ExpectBits(test, result.output, expected);
  } else {
    ASSERT_EQ(tolerance.at("kind"), "abs");
    ExpectWithin(tolerance.at("abs"), test, result.output, expected);
  }
}

struct CaseFolder {
  std::string method, name;
};

std::vector<fs::path> FoldersIn(const fs::path& folder) {
  std::vector<fs::path> folders;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<CaseFolder> AllCases() {
  std::vector<CaseFolder> cases;
  for (const fs::path& method : FoldersIn(kGolden))
    for (const fs::path& folder : FoldersIn(method)) cases.push_back({method.filename(), folder.filename()});
  return cases;
}

class Golden : public ::testing::TestWithParam<CaseFolder> {};

TEST_P(Golden, IsWhatEveryExecutorGives) {
  const fs::path folder = kGolden / GetParam().method / GetParam().name;
  const json text = ReadJson(folder / "case.json");
  ASSERT_EQ(text.at("method"), GetParam().method);
  const TestJob test = JobOfCase(folder, text);
  ASSERT_EQ(text.at("has_base").get<bool>(), test.job.has_base);
  const auto problem = Methods()[test.job.method].check(test.job);
  if (text.contains("expected_error") && text.at("expected_error") != Info(ErrorCode::kNumSingular).code) {
    ASSERT_TRUE(problem.has_value());
    EXPECT_EQ(Info(problem->code).code, text.at("expected_error").get<std::string>());
    return;
  }
  ASSERT_FALSE(problem.has_value()) << problem->message;
  if (text.contains("expected_error")) {  // only the values show it
    for (const auto& backend : EveryBackend())
      EXPECT_NE(RunTestJob(*backend, test, 0).state->Problem(), nullptr) << NameOf(*backend);
    return;
  }
  const Tensor expected = ReadTensors(folder / "expected.safetensors").at("y");
  EXPECT_EQ(expected.shape, test.job.shape);
  for (const auto& backend : EveryBackend()) {
    for (const uint64_t chunk_elems : {uint64_t{0}, kBlockElems}) {
      if (chunk_elems != 0 && !backend->Info().can_stream) continue;
      SCOPED_TRACE(NameOf(*backend) + (chunk_elems == 0 ? ", whole" : ", streamed"));
      ExpectResult(text.at("tolerance"), test, RunTestJob(*backend, test, chunk_elems), expected);
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Case, Golden, ::testing::ValuesIn(AllCases()), [](const auto& row) {
  std::string name = row.param.method + "__" + row.param.name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '.'; }, '_');
  return name;
});

TEST(GoldenCoverage, EveryMethodHasCasesAndARecipe) {
  std::set<std::string> with_contract;
  for (const CaseFolder& c : AllCases()) {
    EXPECT_NE(FindMethod(c.method), nullptr) << "golden cases of no method: " << c.method;
    if (ReadJson(kGolden / c.method / c.name / "case.json").at("oracle") == "contract") with_contract.insert(c.method);
  }
  for (const MethodRow& row : Methods()) {
    EXPECT_TRUE(with_contract.count(std::string(row.info->name)))
        << row.info->name << " has no golden case: add one to scripts/goldens and run scripts/make_goldens.py";
    const fs::path recipe = fs::path(GPUMERGE_SOURCE_DIR) / "configs" / (std::string(row.info->name) + ".yaml");
    EXPECT_TRUE(fs::exists(recipe)) << recipe << " is missing";
  }
}

// Each parameter that has an effect is given in some case and, where it has a default, left out in another; each choice
// is given, and both values of a switch occur.
TEST(GoldenCoverage, EveryParameterIsGivenAndLeftOut) {
  std::map<std::string, std::set<double>> given;
  std::set<std::string> left_out;
  for (const CaseFolder& c : AllCases()) {
    const json params = ReadJson(kGolden / c.method / c.name / "case.json").at("params");
    const MethodRow* row = FindMethod(c.method);
    ASSERT_NE(row, nullptr) << c.method;
    const auto values = ParamValues(*row->info, params);
    for (const ParamSpec& spec : row->info->params) {
      const std::string key = c.method + "." + std::string(spec.name);
      if (!params.contains(spec.name))
        left_out.insert(key);
      else
        given[key].insert(values.at(std::string(spec.name)).begin(), values.at(std::string(spec.name)).end());
    }
  }
  for (const MethodRow& row : Methods()) {
    for (const ParamSpec& spec : row.info->params) {
      if (spec.effect == ParamEffect::kNone) continue;
      const std::string key = std::string(row.info->name) + "." + std::string(spec.name);
      EXPECT_TRUE(given.count(key)) << key << " is given in no case";
      EXPECT_TRUE(!spec.default_value || left_out.count(key)) << key << " is left out in no case";
      if (spec.type == ParamType::kBool) given[key].insert(spec.default_value.value());
      const size_t n_values = spec.type == ParamType::kChoice ? spec.choices.size()
                              : spec.type == ParamType::kBool ? 2
                                                              : 1;
      EXPECT_GE(given[key].size(), n_values) << key << " does not take all its values";
    }
  }
}

TEST(GoldenCoverage, ProvenanceCountsTheCases) {
  std::map<std::string, std::map<std::string, int>> counts;
  for (const CaseFolder& c : AllCases())
    ++counts[c.method][ReadJson(kGolden / c.method / c.name / "case.json").at("oracle")];
  EXPECT_EQ(ReadJson(kGolden / "PROVENANCE.json").at("cases"), json(counts));
}

}  // namespace
}  // namespace gpumerge
