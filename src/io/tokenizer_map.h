// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The token -> id map of a model's tokenizer, for comparing models before their embeddings are mixed row by row. Only
// tokens and ids: not merges, scores or normalisers. Thread-safe.
#pragma once

#include "src/io/model_files.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge {

struct TokenizerMap {
  std::string file;  // what it was read from
  // Sorted by token, then id. A token has one id, but for a Unigram vocabulary (a list) that lists it twice.
  std::vector<std::pair<std::string, uint64_t>> tokens;
};

// From tokenizer.json (model.vocab and added_tokens), else vocab.json + added_tokens.json; nullopt when the model has
// neither (e.g. only a SentencePiece model: compare its bytes then).
// Throws Error(JSON-SYNTAX, JSON-DUP) and what ReadSmallFile throws.
std::optional<TokenizerMap> ReadTokenizerMap(const ModelFiles& model);

// The same for the text of a tokenizer.json, or of vocab.json and added_tokens.json (nullopt = there is none).
// `file` is for messages. Throws Error(JSON-SYNTAX, JSON-DUP).
TokenizerMap ParseTokenizerJson(std::string_view json, const std::string& file);
TokenizerMap ParseVocabJson(std::string_view vocab, const std::string& vocab_file,
                            std::optional<std::string_view> added, const std::string& added_file);

// nullopt when equal, else one line that says how many tokens differ and names those with the lowest ids, e.g.
// `2 tokens differ: "<|im_end|>" has id 7 in A and 9 in B; "x" (id 12) is only in A`, A and B being the maps' files.
// Tokens are raw text: escape what is printed.
std::optional<std::string> DescribeTokenizerDifference(const TokenizerMap& a, const TokenizerMap& b);

}  // namespace gpumerge
