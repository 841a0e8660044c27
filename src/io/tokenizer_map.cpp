// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The vocabulary is taken from the parser's events, so that the rest of a tokenizer.json (merges are most of it) costs
// no memory.
#include "src/io/tokenizer_map.h"

#include "src/base/file.h"

#include "gpumerge/error.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

namespace gpumerge {
namespace {

constexpr uint64_t kMaxTokenizerBytes = uint64_t{256} << 20;  // the largest known is about 35 MB

using Token = std::pair<std::string, uint64_t>;

struct Vocabulary {
  std::vector<Token> tokens;
  bool is_list = false;  // Unigram: [[token, score], ...], ids by position
};

// Which part of the file the parser is in.
enum class Place : uint8_t { kRoot, kModel, kTokenIds, kTokenScores, kTokenScore, kAddedTokens, kAddedToken, kOther };

[[noreturn]] void ThrowSyntax(const std::string& file, std::string message, std::string expected) {
  throw Error({.code = ErrorCode::kJsonSyntax,
               .message = std::move(message),
               .where = file,
               .found = {},
               .expected = std::move(expected),
               .help = {}});
}

[[noreturn]] void ThrowTwice(const std::string& file, std::string_view key, std::string found) {
  throw Error({.code = ErrorCode::kCfgDuplicateJson,
               .message = fmt::format("\"{}\" is given twice", key),
               .where = file,
               .found = std::move(found),
               .expected = "one of them",
               .help = "programs differ in which one they use; remove the wrong one"});
}

class VocabularyReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  // root: kRoot for tokenizer.json, kTokenIds for vocab.json.
  VocabularyReader(const std::string& file, Place root) : file_(file), root_(root) {}

  Vocabulary vocab, added;
  bool has_vocab = false, has_added = false, has_model = false;

  bool null() override { return Plain(); }
  bool boolean(bool) override { return Plain(); }
  bool number_integer(number_integer_t) override { return Plain(); }
  bool number_float(number_float_t, const string_t&) override { return Plain(); }
  bool binary(binary_t&) override { return Plain(); }

  bool number_unsigned(number_unsigned_t value) override {
    if (Here() == Place::kTokenIds)
      vocab.tokens.emplace_back(std::move(key_), value);
    else if (Here() == Place::kAddedToken && key_ == "id")
      SetOnce(&id_, uint64_t{value});
    else
      Plain();
    return true;
  }

  bool string(string_t& value) override {
    if (Here() == Place::kTokenScore && n_in_entry_ == 0) {
      vocab.tokens.emplace_back(std::move(value), vocab.tokens.size());
      ++n_in_entry_;
    } else if (Here() == Place::kAddedToken && key_ == "content") {
      SetOnce(&content_, std::move(value));
    } else {
      Plain();
    }
    return true;
  }

  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }

  bool start_object(size_t) override {
    const Place outer = Here();
    Place inner = Place::kOther;
    if (places_.empty()) {
      inner = root_;
      has_vocab = root_ == Place::kTokenIds;
    } else if (outer == Place::kRoot && key_ == "model") {
      inner = Place::kModel;
      Once(&has_model);
    } else if (outer == Place::kModel && key_ == "vocab") {
      inner = Place::kTokenIds;
      Once(&has_vocab);
    } else if (outer == Place::kAddedTokens) {
      inner = Place::kAddedToken;
    } else {
      Nested();
    }
    places_.push_back(inner);
    return true;
  }

  bool start_array(size_t) override {
    const Place outer = Here();
    Place inner = Place::kOther;
    if (outer == Place::kModel && key_ == "vocab") {
      inner = Place::kTokenScores;
      Once(&has_vocab);
      vocab.is_list = true;
    } else if (outer == Place::kTokenScores) {
      inner = Place::kTokenScore;
      n_in_entry_ = 0;
    } else if (outer == Place::kRoot && key_ == "added_tokens") {
      inner = Place::kAddedTokens;
      Once(&has_added);
    } else {
      Nested();
    }
    places_.push_back(inner);
    return true;
  }

  bool end_object() override {
    if (Here() == Place::kAddedToken) {
      if (!id_ || !content_) ThrowSyntax(file_, "an entry of \"added_tokens\" lacks its id or content", "both");
      added.tokens.emplace_back(std::move(*content_), *id_);
      content_.reset();
      id_.reset();
    }
    places_.pop_back();
    return true;
  }

  bool end_array() override {
    if (Here() == Place::kTokenScore && n_in_entry_ != 2) BadVocabulary();
    places_.pop_back();
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& exception) override {
    ThrowSyntax(fmt::format("{} (byte {})", file_, position), fmt::format("not valid JSON: {}", exception.what()), {});
  }

 private:
  Place Here() const { return places_.empty() ? Place::kOther : places_.back(); }

  [[noreturn]] void BadVocabulary() const {
    ThrowSyntax(file_, "the vocabulary is not of the expected form",
                "{\"token\": id, ...} or [[\"token\", score], ...]");
  }

  void Once(bool* seen) const {
    if (std::exchange(*seen, true)) ThrowTwice(file_, key_, {});
  }

  template <typename T>
  void SetOnce(std::optional<T>* to, T value) const {
    if (to->has_value()) ThrowTwice(file_, key_, "in one entry of \"added_tokens\"");
    *to = std::move(value);
  }

  // A value that is neither a token nor an id: right only where nothing is read, or as a token's score.
  bool Plain() {
    const Place here = Here();
    const bool is_score = here == Place::kTokenScore && n_in_entry_++ == 1;
    const bool is_model = here == Place::kModel && key_ == "vocab";
    const bool is_added_list = here == Place::kRoot && key_ == "added_tokens";
    if (here == Place::kTokenIds || here == Place::kTokenScores || is_model) BadVocabulary();
    if (here == Place::kTokenScore && !is_score) BadVocabulary();
    const bool is_added_field = here == Place::kAddedToken && (key_ == "id" || key_ == "content");
    if (here == Place::kAddedTokens || is_added_field || is_added_list)
      ThrowSyntax(file_, "\"added_tokens\" is not of the expected form", "[{\"id\": 1, \"content\": \"token\"}, ...]");
    return true;
  }

  // The same for an object or array.
  void Nested() {
    if (Here() == Place::kTokenScore) BadVocabulary();
    Plain();
  }

  const std::string& file_;
  const Place root_;
  std::vector<Place> places_;
  std::string key_;
  size_t n_in_entry_ = 0;
  std::optional<uint64_t> id_;
  std::optional<std::string> content_;
};

void Parse(std::string_view json, const std::string& file, VocabularyReader* reader) {
  // The parser would skip a byte order mark and take NUL for the end.
  if (json.starts_with("\xEF\xBB\xBF")) ThrowSyntax(file, "the file begins with a byte order mark", "plain UTF-8");
  if (json.find('\0') != json.npos) ThrowSyntax(file, "the file has a NUL byte", "plain UTF-8");
  nlohmann::json::sax_parse(json.begin(), json.end(), reader);
  if (!reader->has_vocab) ThrowSyntax(file, "the vocabulary is missing", "an object with tokens and their ids");
}

void SortVocabulary(Vocabulary* vocab, const std::string& file) {
  std::sort(vocab->tokens.begin(), vocab->tokens.end());
  const auto same_token = [](const Token& a, const Token& b) { return a.first == b.first; };
  const auto twice = std::adjacent_find(vocab->tokens.begin(), vocab->tokens.end(), same_token);
  if (twice != vocab->tokens.end() && !vocab->is_list)
    ThrowTwice(file, twice->first, fmt::format("ids {} and {}", twice->second, std::next(twice)->second));
}

// Adds what the vocabulary lacks; an added token that it has must have the same id there.
void AddTokens(const Vocabulary& added, const std::string& added_file, std::vector<Token>* tokens) {
  std::vector<Token> fresh;
  for (const Token& token : added.tokens) {
    const auto at = std::lower_bound(tokens->begin(), tokens->end(), Token(token.first, 0));
    if (at == tokens->end() || at->first != token.first)
      fresh.push_back(token);
    else if (!std::binary_search(at, tokens->end(), token))
      ThrowTwice(added_file, token.first,
                 fmt::format("id {} in the vocabulary, {} as an added token", at->second, token.second));
  }
  std::sort(fresh.begin(), fresh.end());
  fresh.erase(std::unique(fresh.begin(), fresh.end()), fresh.end());
  for (size_t i = 1; i < fresh.size(); ++i) {
    if (fresh[i].first == fresh[i - 1].first)
      ThrowTwice(added_file, fresh[i].first, fmt::format("ids {} and {}", fresh[i - 1].second, fresh[i].second));
  }
  const auto middle = static_cast<std::ptrdiff_t>(tokens->size());
  tokens->insert(tokens->end(), std::make_move_iterator(fresh.begin()), std::make_move_iterator(fresh.end()));
  std::inplace_merge(tokens->begin(), tokens->begin() + middle, tokens->end());
}

struct Difference {
  std::string_view token;
  std::optional<uint64_t> id_a, id_b;
  uint64_t lowest_id() const { return std::min(id_a.value_or(UINT64_MAX), id_b.value_or(UINT64_MAX)); }
};

std::vector<Difference> FindDifferences(const std::vector<Token>& a, const std::vector<Token>& b) {
  std::vector<Difference> differences;
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      ++i, ++j;
    } else if (i < a.size() && j < b.size() && a[i].first == b[j].first) {
      differences.push_back({a[i].first, a[i].second, b[j].second});
      ++i, ++j;
    } else if (j == b.size() || (i < a.size() && a[i].first < b[j].first)) {
      differences.push_back({a[i].first, a[i].second, std::nullopt});
      ++i;
    } else {
      differences.push_back({b[j].first, std::nullopt, b[j].second});
      ++j;
    }
  }
  return differences;
}

}  // namespace

TokenizerMap ParseTokenizerJson(std::string_view json, const std::string& file) {
  VocabularyReader reader(file, Place::kRoot);
  Parse(json, file, &reader);
  SortVocabulary(&reader.vocab, file);
  AddTokens(reader.added, file, &reader.vocab.tokens);
  return {file, std::move(reader.vocab.tokens)};
}

TokenizerMap ParseVocabJson(std::string_view vocab, const std::string& vocab_file,
                            std::optional<std::string_view> added, const std::string& added_file) {
  VocabularyReader reader(vocab_file, Place::kTokenIds);
  Parse(vocab, vocab_file, &reader);
  SortVocabulary(&reader.vocab, vocab_file);
  if (added) {
    VocabularyReader added_reader(added_file, Place::kTokenIds);
    Parse(*added, added_file, &added_reader);
    SortVocabulary(&added_reader.vocab, added_file);
    AddTokens(added_reader.vocab, added_file, &reader.vocab.tokens);
  }
  return {vocab_file, std::move(reader.vocab.tokens)};
}

std::optional<TokenizerMap> ReadTokenizerMap(const ModelFiles& model) {
  const auto has = [&](std::string_view name) {
    return std::find(model.side_files.begin(), model.side_files.end(), name) != model.side_files.end();
  };
  const auto path = [&](std::string_view name) { return model.SidePath(name); };
  const auto read = [&](std::string_view name) { return model.ReadSide(name, kMaxTokenizerBytes); };
  if (has("tokenizer.json")) return ParseTokenizerJson(read("tokenizer.json"), path("tokenizer.json"));
  if (!has("vocab.json")) return std::nullopt;
  std::optional<std::string> added;
  if (has("added_tokens.json")) added = read("added_tokens.json");
  return ParseVocabJson(read("vocab.json"), path("vocab.json"), added, path("added_tokens.json"));
}

std::optional<std::string> DescribeTokenizerDifference(const TokenizerMap& a, const TokenizerMap& b) {
  constexpr size_t kNamed = 3;
  std::vector<Difference> differences = FindDifferences(a.tokens, b.tokens);
  if (differences.empty()) return std::nullopt;
  const size_t n_named = std::min(kNamed, differences.size());
  std::partial_sort(differences.begin(), differences.begin() + static_cast<std::ptrdiff_t>(n_named), differences.end(),
                    [](const Difference& x, const Difference& y) {
                      return std::pair(x.lowest_id(), x.token) < std::pair(y.lowest_id(), y.token);
                    });
  std::string text = fmt::format("{} token{}", differences.size(), differences.size() == 1 ? " differs" : "s differ");
  for (size_t i = 0; i < n_named; ++i) {
    const Difference& difference = differences[i];
    text += i == 0 ? ": " : "; ";
    if (difference.id_a && difference.id_b)
      text += fmt::format("\"{}\" has id {} in {} and {} in {}", difference.token, *difference.id_a, a.file,
                          *difference.id_b, b.file);
    else
      text += fmt::format("\"{}\" (id {}) is only in {}", difference.token, difference.lowest_id(),
                          difference.id_a ? a.file : b.file);
  }
  if (differences.size() > n_named) text += fmt::format("; and {} more", differences.size() - n_named);
  return text;
}

}  // namespace gpumerge
