// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/io/checksums.h"

#include "src/base/file.h"
#include "src/base/text.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSha256Digits = 64, kSha1Digits = 40;
constexpr uint64_t kMaxMetadataBytes = 64 * 1024;
// Below a downloaded model's directory; files of a model lie at most a few folders deep.
constexpr std::string_view kDownloads = ".cache/huggingface/download";
constexpr int kMostParents = 4;

bool IsHex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == text.npos; }

std::optional<KnownChecksum> ByName(std::string_view name, std::string from) {
  if (!IsHex(name)) return std::nullopt;
  if (name.size() == kSha256Digits) return KnownChecksum{DigestKind::kSha256, std::string(name), std::move(from)};
  if (name.size() == kSha1Digits) return KnownChecksum{DigestKind::kGitSha1, std::string(name), std::move(from)};
  return std::nullopt;
}

// .../models--org--name/blobs/<checksum>
std::optional<KnownChecksum> BlobChecksum(const std::string& path) {
  const fs::path target = ResolvePath(path);
  const bool is_blob = target.parent_path().filename() == "blobs" &&
                       target.parent_path().parent_path().filename().string().starts_with("models--");
  return is_blob ? ByName(target.filename().string(), "the blob's name") : std::nullopt;
}

// Three lines: the commit, the checksum, when it was written.
std::optional<KnownChecksum> DownloadChecksum(const std::string& path) {
  const fs::path file = path;
  fs::path root = file.parent_path();
  for (int i = 0; i < kMostParents && root != root.parent_path(); ++i, root = root.parent_path()) {
    const std::string metadata = (root / kDownloads / (file.lexically_relative(root).string() + ".metadata")).string();
    if (!IsRegularFile(metadata)) continue;
    const std::string text = ReadSmallFile(metadata, kMaxMetadataBytes);
    const size_t begin = text.find('\n');
    const size_t end = begin == text.npos ? text.npos : text.find('\n', begin + 1);
    if (end == text.npos) return std::nullopt;
    return ByName(std::string_view(text).substr(begin + 1, end - begin - 1), metadata);
  }
  return std::nullopt;
}

// sha256sum writes \n and \\ in names of lines that begin with a backslash.
std::string Unescape(std::string_view name) {
  std::string text;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool is_escape = name[i] == '\\' && i + 1 < name.size();
    if (is_escape) ++i;
    text += is_escape && name[i] == 'n' ? '\n' : is_escape && name[i] == 'r' ? '\r' : name[i];
  }
  return text;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

}  // namespace

std::optional<KnownChecksum> HubChecksum(const std::string& path) {
  if (std::optional<KnownChecksum> known = BlobChecksum(path)) return known;
  return DownloadChecksum(path);
}

ChecksumManifest::ChecksumManifest(std::string_view text, const std::string& file)
    : file_(file), directory_(fs::absolute(file).parent_path().string()) {
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number;
    if (!line.empty() && !line.starts_with('#')) AddLine(line, number);
  }
}

void ChecksumManifest::AddLine(std::string_view line, size_t number) {
  const bool is_escaped = line.starts_with('\\');
  std::string_view rest = line.substr(is_escaped ? 1 : 0);
  const auto refuse = [&](std::string message, std::string found) {
    throw Error({.code = ErrorCode::kInHash,
                 .message = std::move(message),
                 .where = fmt::format("{}:{}", file_, number),
                 .found = std::move(found),
                 .expected = "64 hex digits, a space, a space or '*', a file name, as sha256sum writes",
                 .help = "make the manifest with: sha256sum FILE... > SHA256SUMS"});
  };
  const bool has_form = rest.size() > kSha256Digits + 2 && rest[kSha256Digits] == ' ' &&
                        (rest[kSha256Digits + 1] == ' ' || rest[kSha256Digits + 1] == '*');
  const std::string hex = Lower(rest.substr(0, kSha256Digits));
  if (!has_form || !IsHex(hex)) refuse("a line of the manifest is not one of sha256sum", EscapeForTerminal(line, 100));
  std::string name(rest.substr(kSha256Digits + 2));
  if (is_escaped) name = Unescape(name);
  const std::string path = ResolveExistingPart((fs::path(directory_) / name).lexically_normal().string());
  const auto [entry, is_new] = entries_.try_emplace(path, Entry{hex, number});
  if (!is_new && entry->second.hex != hex)
    refuse("the manifest has two checksums of one file", fmt::format("another in line {}", entry->second.line));
}

std::optional<KnownChecksum> ChecksumManifest::Find(const std::string& path) {
  const std::string resolved = ResolveExistingPart(fs::path(path).lexically_normal().string());
  const auto entry = entries_.find(resolved);
  if (entry == entries_.end()) return std::nullopt;
  entry->second.is_used = true;
  return KnownChecksum{DigestKind::kSha256, entry->second.hex, fmt::format("{}:{}", file_, entry->second.line)};
}

std::vector<std::string> ChecksumManifest::Unused() const {
  std::vector<std::string> paths;
  for (const auto& [path, entry] : entries_)
    if (!entry.is_used) paths.push_back(path);
  return paths;
}

}  // namespace gpumerge
