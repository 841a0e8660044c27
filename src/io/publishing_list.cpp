// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Text with a NUL, which no name has, after each part: the hash of what follows it, the identity, then for each entry
// what it is, its name and its size.
#include "src/io/publishing_list.h"

#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/io/output_files.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>
#include <utility>

namespace gpumerge {
namespace {

constexpr uint64_t kMaxListBytes = uint64_t{64} << 20;
constexpr std::string_view kNew = "new", kOld = "old";

std::string PathOf(const OutputPlaces& places) { return places.staging + "/" + kPublishingFile; }

void AddEntry(std::string_view kind, std::string_view name, uint64_t size_bytes, std::string* text) {
  for (const std::string& part : {std::string(kind), std::string(name), std::to_string(size_bytes)})
    *text += part + '\0';
}

std::string HashOf(std::string_view text) { return fmt::format("{:016x}", LineHash(text)); }

// Up to the next NUL, which goes as well; nullopt when there is none.
std::optional<std::string> TakePart(std::string_view* text) {
  const size_t end = text->find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  std::string part(text->substr(0, end));
  text->remove_prefix(end + 1);
  return part;
}

}  // namespace

const PublishingList::File* PublishingList::Find(const std::string& name) const {
  const auto at = std::lower_bound(files.begin(), files.end(), name,
                                   [](const File& file, const std::string& wanted) { return file.name < wanted; });
  return at != files.end() && at->name == name ? &*at : nullptr;
}

PublishingList WritePublishingList(const OutputPlaces& places, std::string identity, std::vector<std::string> old,
                                   Sync sync) {
  PublishingList list{.identity = std::move(identity), .files = {}, .old = std::move(old)};
  std::string text = list.identity + '\0';
  for (const std::string& name : EntryNames(places.staging)) {
    const uint64_t size_bytes = SizeOfFile(places.staging + "/" + name).value_or(0);
    list.files.push_back({name, size_bytes});
    AddEntry(kNew, name, size_bytes, &text);
  }
  for (const std::string& name : list.old) AddEntry(kOld, name, 0, &text);
  text.insert(0, HashOf(text) + '\0');
  const std::string path = PathOf(places), part = path + ".part";
  UniqueFd fd = CreateNewFile(part);
  WriteFully(fd.get(), 0, text.data(), text.size(), path);
  if (sync == Sync::kFull) SyncFile(fd.get(), path);
  CloseWritten(std::move(fd), path);
  RenameFile(part, path);
  if (sync == Sync::kFull) SyncDirectory(places.staging);
  return list;
}

std::optional<PublishingList> ReadPublishingList(const OutputPlaces& places) {
  const std::string contents = ReadOwnFile(PathOf(places), kMaxListBytes);
  std::string_view text = contents;
  const std::optional<std::string> hash = TakePart(&text);
  if (!hash || *hash != HashOf(text)) return std::nullopt;
  PublishingList list;
  list.identity = TakePart(&text).value_or("");
  while (!text.empty()) {
    const std::optional<std::string> kind = TakePart(&text), name = TakePart(&text), size = TakePart(&text);
    uint64_t size_bytes = 0;
    if (!size || std::from_chars(size->data(), size->data() + size->size(), size_bytes).ec != std::errc())
      return std::nullopt;
    if (*kind == kNew)
      list.files.push_back({*name, size_bytes});
    else
      list.old.push_back(*name);
  }
  return list;
}

}  // namespace gpumerge
