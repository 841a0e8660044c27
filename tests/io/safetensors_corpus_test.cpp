// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// 90 damaged or odd files against the reference validator's verdicts: what the reference refuses, gpumerge refuses;
// what gpumerge refuses in addition is exactly the list below (the README's table says why).
#include "src/io/model_files.h"
#include "tests/support/errors.h"
#include "tests/support/model_writer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <sstream>

namespace gpumerge {
namespace {

using test::CodeOf;

// Refused although the reference accepts them.
const std::map<std::string, std::string> kStricterThanReference{
    {"21_dup_key_same_range", "ST-DUP"}, {"23_dup_key_empty_tensors", "ST-DUP"}, {"26_dup_metadata_inner", "ST-DUP"},
    {"81_escaped_key_dup", "ST-DUP"},    {"31_unknown_field", "ST-FIELD"},       {"73_deep_nest_100", "ST-FIELD"},
    {"84_tensor_as_seq", "ST-FIELD"},    {"85_dtype_as_object", "ST-FIELD"},     {"66_empty_name", "ST-NAME"},
    {"71_long_name", "ST-LIMIT"},
};

// Refused by both.
const std::map<std::string, std::string> kRefusedByBoth{
    {"02_empty_file", "ST-TRUNCATED"},
    {"03_seven_bytes", "ST-TRUNCATED"},
    {"04_header_len_zero", "ST-HDRLEN"},
    {"05_header_len_past_eof", "ST-TRUNCATED"},
    {"06_header_len_100000001", "ST-HDRLEN"},
    {"07_header_len_u64max", "ST-HDRLEN"},
    {"08_header_len_wrap_minus8", "ST-HDRLEN"},
    {"09_header_len_minus1", "ST-HDRLEN"},
    {"10_bad_utf8", "ST-JSON"},
    {"11_overlong_utf8", "ST-JSON"},
    {"12_lone_surrogate_escape", "ST-JSON"},
    {"13_bom", "ST-JSON"},
    {"16_trailing_NUL_pad", "ST-JSON"},
    {"17_trailing_garbage", "ST-JSON"},
    {"18_second_object", "ST-JSON"},
    {"19_root_array", "ST-JSON"},
    {"20_root_null", "ST-JSON"},
    {"22_dup_key_diff_range", "ST-DUP"},
    {"24_dup_field_dtype", "ST-DUP"},
    {"25_dup_metadata_obj", "ST-DUP"},
    {"27_metadata_nonstring", "ST-META"},
    {"30_metadata_array", "ST-META"},
    {"32_missing_dtype", "ST-FIELD"},
    {"33_unknown_dtype", "ST-DTYPE"},
    {"34_lowercase_dtype", "ST-DTYPE"},
    {"35_negative_dim", "ST-FIELD"},
    {"36_float_dim", "ST-FIELD"},
    {"37_exp_dim", "ST-FIELD"},
    {"38_string_dim", "ST-FIELD"},
    {"39_shape_overflow_to_0", "ST-OVERFLOW"},
    {"40_shape_x_dtype_overflow", "ST-OVERFLOW"},
    {"41_shape_2p64", "ST-OVERFLOW"},
    {"42_offsets_swapped", "ST-SIZE"},
    {"43_offsets_one", "ST-FIELD"},
    {"44_offsets_three", "ST-FIELD"},
    {"45_offsets_past_eof", "ST-TRUNCATED"},
    {"46_size_mismatch", "ST-SIZE"},
    {"47_hole", "ST-HOLE"},
    {"48_hole_at_start", "ST-HOLE"},
    {"49_overlap", "ST-OVERLAP"},
    {"50_aliased_same", "ST-OVERLAP"},
    {"51_trailing_data", "ST-TRAILING"},
    {"52_truncated_by_1", "ST-TRUNCATED"},
    {"53_no_tensors_but_data", "ST-TRAILING"},
    {"57_zero_size_misplaced_offset", "ST-OVERLAP"},
    {"60_f4_odd", "ST-SIZE"},
    {"64_rank8_oob", "ST-OVERLAP"},
    {"69_raw_control_in_name", "ST-JSON"},
    {"72_deep_nest_200000", "ST-FIELD"},
    {"74_trailing_comma", "ST-JSON"},
    {"75_single_quotes", "ST-JSON"},
    {"76_comment", "ST-JSON"},
    {"77_NaN_dim", "ST-JSON"},
    {"78_leading_zero_int", "ST-JSON"},
    {"79_plus_int", "ST-JSON"},
    {"80_neg_zero", "ST-FIELD"},
    {"83_big_2p53p1", "ST-TRUNCATED"},
    {"86_offsets_null", "ST-FIELD"},
    {"87_utf16", "ST-JSON"},
};

struct Verdict {
  bool is_accepted = false;
  std::string detail;  // for accepted files: "name":TYPE[shape] ..., sorted by name
};

std::map<std::string, Verdict> ReferenceVerdicts() {
  std::map<std::string, Verdict> verdicts;
  std::istringstream table(
      test::ReadTextFile(std::string(GPUMERGE_SOURCE_DIR) + "/tests/io/corpus/safetensors_reference_verdicts.tsv"));
  for (std::string line; std::getline(table, line);) {
    const size_t first = line.find('\t'), second = line.find('\t', first + 1);
    verdicts[line.substr(0, first)] = {line.substr(first + 1, second - first - 1) == "OK", line.substr(second + 1)};
  }
  return verdicts;
}

ModelFiles Open(const std::string& path) {
  ModelRef reference;
  reference.text = path;
  return OpenModel(LocateModel(reference, "", ""));
}

// "a":F32[2, 2] as the verdict table writes it (names without escapes only).
std::string Describe(const ModelFiles& model) {
  std::string text;
  for (const ModelTensor& tensor : model.tensors) {
    text += (text.empty() ? "\"" : " \"") + tensor.name + "\":" + std::string(Info(tensor.dtype).name) + "[";
    for (size_t i = 0; i < tensor.shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(tensor.shape[i]);
    text += "]";
  }
  return text;
}

TEST(SafetensorsCorpus, VerdictsAreAtLeastAsStrictAsTheReference) {
  const test::ScratchDir scratch;
  const std::string generator = std::string(GPUMERGE_SOURCE_DIR) + "/tests/io/corpus/gen_safetensors_corpus.py";
  ASSERT_EQ(std::system(("python3 '" + generator + "' '" + scratch / "corpus" + "'").c_str()), 0);
  const std::map<std::string, Verdict> verdicts = ReferenceVerdicts();
  ASSERT_EQ(verdicts.size(), 90u);

  size_t n_accepted = 0, n_refused = 0;
  for (const auto& [name, verdict] : verdicts) {
    SCOPED_TRACE(name);
    std::string expected_code;
    if (const auto at = kRefusedByBoth.find(name); at != kRefusedByBoth.end()) {
      expected_code = at->second;
      EXPECT_FALSE(verdict.is_accepted);
    } else if (const auto extra = kStricterThanReference.find(name); extra != kStricterThanReference.end()) {
      expected_code = extra->second;
      EXPECT_TRUE(verdict.is_accepted);
    } else {
      EXPECT_TRUE(verdict.is_accepted);
    }
    ModelFiles model;
    EXPECT_EQ(CodeOf([&] { model = Open(scratch / "corpus/" + name); }), expected_code);
    ++(expected_code.empty() ? n_accepted : n_refused);
    const bool has_escapes = verdict.detail.find('\\') != std::string::npos;
    if (expected_code.empty() && !has_escapes) {
      EXPECT_EQ(Describe(model), verdict.detail);
    }
  }
  EXPECT_EQ(n_accepted, 21u);
  EXPECT_EQ(n_refused, 69u);
}

}  // namespace
}  // namespace gpumerge
