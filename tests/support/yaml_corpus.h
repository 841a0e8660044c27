// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Odd and hostile YAML: what has crashed, hung or misled YAML readers. Made here, because some of it is megabytes of
// one letter. For tests.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace gpumerge::testing {

struct YamlCase {
  std::string name;
  std::string text;
  // The first error of parsing it as a recipe, "" = any error of the configuration language (it is readable YAML).
  std::string code;
};

inline std::string Repeat(std::string_view text, size_t times) {
  std::string repeated;
  repeated.reserve(text.size() * times);
  for (size_t i = 0; i < times; ++i) repeated += text;
  return repeated;
}

// Nine aliases of nine aliases of ...: 9^9 values in 300 bytes.
inline std::string AliasBomb() {
  std::string text = "a: &a [1,2,3,4,5,6,7,8,9]\n";
  for (char name = 'b'; name <= 'i'; ++name) {
    const std::string previous = fmt::format("*{}", static_cast<char>(name - 1));
    std::string list = previous;
    for (int i = 1; i < 9; ++i) list += "," + previous;
    text += fmt::format("{}: &{} [{}]\n", name, name, list);
  }
  return text;
}

inline std::string DeepBlockMap(size_t depth) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += std::string(i, ' ') + "a:\n";
  return text;
}

inline std::string Numbered(std::string_view format, size_t n) {
  std::string text;
  for (size_t i = 0; i < n; ++i) text += fmt::format(fmt::runtime(format), i);
  return text;
}

inline std::vector<YamlCase> YamlCorpus() {
  const auto raw = [](std::string_view bytes) { return std::string(bytes); };
  return {
      {"flow_deep_400", Repeat("[", 400) + Repeat("]", 400), "YAML-DEPTH"},
      {"flow_deep_600", Repeat("[", 600) + Repeat("]", 600), "YAML-DEPTH"},
      {"flow_deep_100k", Repeat("[", 100'000), "YAML-DEPTH"},
      {"flowmap_deep_100k", Repeat("{a: ", 100'000), "YAML-DEPTH"},
      {"block_seq_deep_100k", Repeat("- ", 100'000), "YAML-DEPTH"},
      {"block_map_deep_1000", DeepBlockMap(1000), "YAML-DEPTH"},
      {"block_map_deep_3000", DeepBlockMap(3000), "YAML-SIZE"},
      {"qmark_deep_100k", Repeat("? ", 100'000), "YAML-DEPTH"},
      {"alias_bomb", AliasBomb(), "YAML-ALIAS"},
      {"self_alias_seq", "a: &a [*a]\n", "YAML-ALIAS"},
      {"self_alias_map", "a: &a {b: *a}\n", "YAML-ALIAS"},
      {"self_alias_deep", "a: &a [[[{b: [*a]}]]]\n", "YAML-ALIAS"},
      {"alias_undefined", "a: *nope\n", "YAML-SYNTAX"},
      {"merge_key", "base: &b {k: 1}\n<<: *b\nz: 2\n", ""},
      {"nul_bytes", raw({"k: a\0b\n", 7}), "YAML-UTF8"},
      {"bad_utf8", "k: \xff\xfe\xfa\n", "YAML-UTF8"},
      {"overlong_utf8", "k: \xc0\xaf\n", "YAML-UTF8"},
      {"surrogate_utf8", "k: \xed\xa0\x80\n", "YAML-UTF8"},
      {"cut_utf8", "k: \xe2\x82", "YAML-UTF8"},
      {"escape_character", "k: \x1b[31m\n", "YAML-UTF8"},
      {"next_line_character", "k: a\xc2\x85z: b\n", "YAML-UTF8"},
      {"line_separator", "k: a\xe2\x80\xa8z: b\n", "YAML-UTF8"},
      {"utf16_little", raw({"\xff\xfek\0:\0 \0001\0\n\0", 12}), "YAML-UTF8"},
      {"utf16_big", raw({"\xfe\xff\0k\0:\0 \0001\0\n", 12}), "YAML-UTF8"},
      {"utf16_without_mark", raw({"k\0:\0 \0001\0\n\0", 10}), "YAML-UTF8"},
      {"bom", "\xef\xbb\xbfk: 1\n", "CFG-UNKNOWN"},
      {"tab_indent", "a:\n\tk: 1\n", "YAML-SYNTAX"},
      {"two_docs", "k: 1\n---\nk: 2\n", "CFG-UNKNOWN"},
      {"three_docs", "---\nk: 1\n---\nk: 2\n---\n", "CFG-UNKNOWN"},
      {"empty", "", "YAML-DOCS"},
      {"only_comment", "# nothing\n\n", "YAML-DOCS"},
      {"only_scalar", "foo", "CFG-TYPE"},
      {"only_list", "- foo\n", "CFG-TYPE"},
      {"only_null", "---\n", "CFG-TYPE"},
      {"many_colons_200k", "{" + Repeat("a: b, ", 100'000) + "}", "YAML-DUP"},
      {"many_anchors", Numbered("- &a{} 1\n", 60'000), "CFG-TYPE"},
      {"many_anchors_100k", Numbered("- &a{} 1\n", 100'000), "YAML-SIZE"},
      {"long_simple_key", std::string(5000, 'a') + ": 1\n", "YAML-SYNTAX"},
      {"big_unterminated_quote", "\"" + std::string(1'000'000, 'a'), "YAML-SYNTAX"},
      {"huge_unterminated_quote", "\"" + std::string(5'000'000, 'a'), "YAML-SIZE"},
      {"brackets_quadratic", Repeat("[a", 400) + "\n", "YAML-SYNTAX"},
      {"flow_commas", "[" + std::string(200'000, ',') + "]", "YAML-SIZE"},
      {"indent_quadratic", Repeat("- x\n", 200'000), "YAML-SIZE"},
      {"many_lines_map_20k", Numbered("k{}: v\n", 20'000), "CFG-UNKNOWN"},
      {"many_models_20k", "models:\n" + Numbered("- model: m{}\n", 20'000), "CFG-MISSING"},
      {"crlf", "k: 1\r\nz: 2\r\n", "CFG-UNKNOWN"},
      {"python_object", "k: !!python/object:os.system x\n", ""},
      {"bad_escape", "k: \"\\UFFFFFFFF\"\n", "YAML-SYNTAX"},
      {"escaped_nul", "k: \"a\\0b\"\n", ""},
      {"odd_directive", "%YAML 9.9\n---\nk: 1\n", ""},
      {"mapping_as_key", "{a: 1}: 2\n", ""},
      {"text_after_flow", "[a] b\n", "YAML-SYNTAX"},
  };
}

// A scalar where a number is expected, and what becomes of it.
struct ScalarCase {
  std::string text;
  std::string code;  // "" = accepted
};

inline std::vector<ScalarCase> NumberCorpus() {
  return {{"1e-3", ""},
          {"1e3", ""},
          {".5", ""},
          {"5.", ""},
          {"1_000", "YAML-AMBIG"},
          {"0x10", "YAML-AMBIG"},
          {"010", "YAML-AMBIG"},
          {"0o10", "YAML-AMBIG"},
          {"-010", "YAML-AMBIG"},
          {"0b11", "YAML-AMBIG"},
          {"\"010\"", "YAML-AMBIG"},
          {"1_0.5", "YAML-AMBIG"},
          {"yes", "CFG-TYPE"},
          {"on", "CFG-TYPE"},
          {"True", "CFG-TYPE"},
          {"TRUE", "CFG-TYPE"},
          {"y", "CFG-TYPE"},
          {"~", "CFG-TYPE"},
          {"", "CFG-TYPE"},
          {"null", "CFG-TYPE"},
          {".inf", "CFG-RANGE"},
          {"-.Inf", "CFG-RANGE"},
          {".nan", "CFG-RANGE"},
          {"inf", "CFG-RANGE"},
          {"nan", "CFG-RANGE"},
          {"1,5", "CFG-TYPE"},
          {"+1", ""},
          {"-1", ""},
          {"+-1", "CFG-TYPE"},
          {"1:30", "YAML-AMBIG"},
          {"1:30:00.5", "YAML-AMBIG"},
          {"\"0.5\"", ""},
          {"'0.5'", ""},
          {"!!float 1", ""},
          {"!!int 1", ""},
          {"!!str 0.5", ""},
          {"1.0e+400", "CFG-RANGE"},
          {"1e-400", "CFG-RANGE"},
          {"12345678901234567890", ""},
          {"0.1abc", "CFG-TYPE"},
          {"2147483648", ""},
          {"!!python/object:os.system x", "YAML-TAG"},
          {"!local 1", "YAML-TAG"},
          {"!!set {a}", "YAML-TAG"},
          {"0", ""},
          {"-0", ""},
          {"00", "YAML-AMBIG"},
          {"0.0", ""},
          {"1 000", "CFG-TYPE"},
          {"0x1p3", "YAML-AMBIG"},
          {"-.x", "CFG-TYPE"},
          {".", "CFG-TYPE"},
          {"-", "YAML-SYNTAX"},
          {"1e", "CFG-TYPE"},
          {"{}", "CFG-MISSING"},
          {"|\n      0.5", "CFG-TYPE"}};
}

}  // namespace gpumerge::testing
