// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The Hugging Face cache on this disk, as huggingface_hub lays it out. Read only, and never the network. Thread-safe as
// long as nobody changes the environment.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gpumerge {

// cache_dir if not empty, else what the environment says: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub,
// XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub. ~ and $VARIABLES are expanded; empty variables count as
// unset.
std::string HubCacheRoot(const std::string& cache_dir);

// Whether text can be the name of a hub model with an owner: org/name.
bool IsHubId(std::string_view text);

struct HubSnapshot {
  std::string directory;  // <repo>/snapshots/<commit>
  std::string repo;       // <root>/models--org--name
  std::string commit;
};

// id: org/name. revision: branch, tag, refs/pr/1 or a full commit; nullopt = main. where: place in the recipe, or "".
// Throws Error(HUB-MISS) which lists what is cached, Error(REF-SYNTAX) for a malformed revision.
HubSnapshot FindInHubCache(const std::string& root, std::string_view id, const std::optional<std::string>& revision,
                           const std::string& where);

// The repository directory (.../models--org--name) when `directory` is one of its snapshots or lies in one.
std::optional<std::string> HubRepoOf(std::string_view directory);

// How many unfinished downloads a repository directory, or a directory that `hf download --local-dir` filled, holds.
size_t CountUnfinishedDownloads(const std::string& directory);

// A leading "~" or "~/" replaced by the home directory.
std::string ExpandHome(std::string_view path);

}  // namespace gpumerge
