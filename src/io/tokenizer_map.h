// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The token -> id map of a model's tokenizer, for comparing models before their embeddings are mixed row by row.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/io/model_files.h"

namespace gpumerge {

struct TokenizerMap {
  std::string file;                                       // what it was read from
  std::vector<std::pair<std::string, uint64_t>> tokens;   // sorted by token
};

// From tokenizer.json (model.vocab and added_tokens), else vocab.json + added_tokens.json; nullopt when the model has
// neither (e.g. only a SentencePiece model: compare its bytes then).
std::optional<TokenizerMap> ReadTokenizerMap(const ModelFiles& model);

}  // namespace gpumerge
