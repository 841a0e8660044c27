// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Equal files need no parsing, which is the usual case and keeps planning fast.
#include "src/plan/tokenizers.h"

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/io/tokenizer_map.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace gpumerge {
namespace {

constexpr uint64_t kMaxTextBytes = uint64_t{256} << 20;
constexpr uint64_t kPieceBytes = uint64_t{64} << 10;
constexpr std::string_view kSentencePiece = "tokenizer.model";

bool HasFile(const ModelFiles& files, std::string_view name) {
  return std::find(files.side_files.begin(), files.side_files.end(), name) != files.side_files.end();
}

// In pieces: two tokenizers can be more than the memory that a merge is allowed.
bool SameContents(const std::string& path_a, const std::string& path_b) {
  const UniqueFd a = OpenRegular(path_a), b = OpenRegular(path_b);
  const uint64_t size_bytes = RegularFileSize(a.get(), path_a);
  if (size_bytes != RegularFileSize(b.get(), path_b)) return false;
  std::string piece_a(kPieceBytes, '\0'), piece_b(kPieceBytes, '\0');
  for (uint64_t at = 0; at < size_bytes; at += kPieceBytes) {
    const size_t bytes = std::min(kPieceBytes, size_bytes - at);
    ReadFully(a.get(), at, piece_a.data(), bytes, path_a);
    ReadFully(b.get(), at, piece_b.data(), bytes, path_b);
    if (std::string_view(piece_a).substr(0, bytes) != std::string_view(piece_b).substr(0, bytes)) return false;
  }
  return true;
}

bool SameFile(const ModelFiles& a, const ModelFiles& b, std::string_view name) {
  if (!HasFile(a, name) || !HasFile(b, name)) return HasFile(a, name) == HasFile(b, name);
  const bool is_text = a.side_texts.contains(name) || b.side_texts.contains(name);
  return is_text ? a.ReadSide(name, kMaxTextBytes) == b.ReadSide(name, kMaxTextBytes)
                 : SameContents(a.SidePath(name), b.SidePath(name));
}

bool HasTokenizer(const ModelFiles& files) {
  return HasFile(files, "tokenizer.json") || HasFile(files, "vocab.json") || HasFile(files, kSentencePiece);
}

// Whether the files that token ids come from are the same bytes.
bool SameFiles(const ModelFiles& a, const ModelFiles& b) {
  if (HasFile(a, "tokenizer.json") || HasFile(b, "tokenizer.json")) return SameFile(a, b, "tokenizer.json");
  return SameFile(a, b, "vocab.json") && SameFile(a, b, "added_tokens.json") && SameFile(a, b, kSentencePiece);
}

using Tokens = std::vector<std::pair<std::string, uint64_t>>;

std::string Examples(const std::vector<std::string>& examples) {
  std::vector<std::string> escaped;
  for (const std::string& example : examples) escaped.push_back(EscapeForTerminal(example, 64));
  return ListSome(escaped, 3);
}

// "" when equal. Both lists are sorted by token.
std::string Differences(const Tokens& ours, const Tokens& theirs) {
  std::vector<std::string> only_ours, only_theirs, moved;
  auto a = ours.begin();
  auto b = theirs.begin();
  while (a != ours.end() || b != theirs.end()) {
    if (b == theirs.end() || (a != ours.end() && a->first < b->first)) {
      only_ours.push_back((a++)->first);
    } else if (a == ours.end() || b->first < a->first) {
      only_theirs.push_back((b++)->first);
    } else {
      if (a->second != b->second) moved.push_back(fmt::format("{} ({} and {})", a->first, a->second, b->second));
      ++a;
      ++b;
    }
  }
  std::string text;
  const auto add = [&](const char* what, const std::vector<std::string>& tokens) {
    if (!tokens.empty())
      text +=
          fmt::format("{}{} {}: {}", text.empty() ? "" : "; ", Plural(tokens.size(), "token"), what, Examples(tokens));
  };
  add("only in the first", only_ours);
  add("only in the second", only_theirs);
  add("with different ids", moved);
  return text;
}

void Compare(const InputModel& copied, const InputModel& model, PlanFindings* findings) {
  Diagnostic problem{
      .code = ErrorCode::kMmTokenizer,
      .message = fmt::format("\"{}\" and \"{}\" number their tokens differently", copied.reference, model.reference),
      .where = model.files.location.directory,
      .expected = "one map from tokens to ids in all models",
      .help =
          "rows of the embedding would be mixed with those of other tokens; merge models that share "
          "a tokenizer"};
  const std::optional<TokenizerMap> ours = ReadTokenizerMap(copied.files);
  const std::optional<TokenizerMap> theirs = ReadTokenizerMap(model.files);
  if (ours && theirs) {
    problem.found = Differences(ours->tokens, theirs->tokens);
    if (!problem.found.empty()) findings->errors.push_back(std::move(problem));
    return;
  }
  if (HasFile(copied.files, kSentencePiece) && HasFile(model.files, kSentencePiece)) {
    if (SameFile(copied.files, model.files, kSentencePiece)) return;
    problem.found = "tokenizer.model files that differ";
    findings->errors.push_back(std::move(problem));
    return;
  }
  problem.message =
      fmt::format("the tokenizers of \"{}\" and \"{}\" are stored in different formats and were not compared",
                  copied.reference, model.reference);
  problem.help = "make sure that both number their tokens alike";
  findings->warnings.push_back(std::move(problem));
}

}  // namespace

void CheckTokenizers(const InputSet& inputs, PlanFindings* findings) {
  std::set<uint32_t> models;
  for (const InputSet* part : PartsOf(inputs))
    for (const Slice* slice : {&part->slices.front(), &part->slices.back()})
      for (const SliceSource& source : slice->sources) models.insert(source.model);
  models.erase(inputs.tokenizer);

  const InputModel& copied = inputs.models[inputs.tokenizer];
  const bool has_tokenizer = HasTokenizer(copied.files);
  if (!has_tokenizer && copied.has_config())
    findings->notes.push_back(fmt::format("\"{}\" has no tokenizer files, so the output has none", copied.reference));
  for (uint32_t index : models) {
    const InputModel& model = inputs.models[index];
    if (!HasTokenizer(model.files)) {
      if (has_tokenizer) {
        findings->notes.push_back(
            fmt::format("\"{}\" has no tokenizer files; its tokens are taken to be those of \"{}\"", model.reference,
                        copied.reference));
      }
      continue;
    }
    if (!has_tokenizer || SameFiles(copied.files, model.files)) continue;
    Compare(copied, model, findings);
  }
}

}  // namespace gpumerge
