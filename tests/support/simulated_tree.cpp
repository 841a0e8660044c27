// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Every operation changes what is cached and notes what a sync would have to do.
#include "tests/support/simulated_tree.h"

#include <algorithm>
#include <set>
#include <utility>

namespace gpumerge::test {
namespace {

void Apply(const FileChange& change, std::string* contents) {
  if (change.is_resize) return contents->resize(change.offset_bytes, '\0');
  const uint64_t end = change.offset_bytes + change.bytes.size();
  if (contents->size() < end) contents->resize(end, '\0');
  contents->replace(change.offset_bytes, change.bytes.size(), change.bytes);
}

// The sectors of a write that the disk happened to do.
void ApplySome(const FileChange& change, double share, std::mt19937_64* random, std::string* contents) {
  std::bernoulli_distribution is_kept(share);
  if (change.is_resize) {
    if (is_kept(*random)) Apply(change, contents);
    return;
  }
  const uint64_t end = change.offset_bytes + change.bytes.size();
  for (uint64_t at = change.offset_bytes; at < end;) {
    const uint64_t next = std::min(end, (at / SimulatedTree::kSectorBytes + 1) * SimulatedTree::kSectorBytes);
    if (is_kept(*random)) Apply({false, at, change.bytes.substr(at - change.offset_bytes, next - at)}, contents);
    at = next;
  }
}

}  // namespace

SimulatedTree::SimulatedTree() { nodes_[kRoot].is_directory = true; }

uint64_t SimulatedTree::Find(uint64_t directory, const std::string& name) const {
  const auto found = at(directory).cached_names.find(name);
  return found == at(directory).cached_names.end() ? 0 : found->second;
}

uint64_t SimulatedTree::Create(bool is_directory) {
  Node& node = nodes_[++last_node_];
  node.is_directory = is_directory;
  node.changed_ns = ++clock_ns_;
  return last_node_;
}

void SimulatedTree::ChangeNames(std::vector<NameChange> changes) {
  for (const NameChange& change : changes) {
    auto& names = at(change.directory).cached_names;
    if (change.before != 0) --at(change.before).n_names;
    if (change.after != 0) ++at(change.after).n_names;
    if (change.after == 0)
      names.erase(change.name);
    else
      names[change.name] = change.after;
  }
  unsynced_names_.push_back(std::move(changes));
}

void SimulatedTree::Write(uint64_t file, uint64_t offset_bytes, const std::string& bytes) {
  Node& node = at(file);
  node.changed_ns = ++clock_ns_;
  node.unsynced.push_back({false, offset_bytes, bytes});
  Apply(node.unsynced.back(), &node.cached);
}

void SimulatedTree::Resize(uint64_t file, uint64_t size_bytes) {
  Node& node = at(file);
  node.changed_ns = ++clock_ns_;
  node.unsynced.push_back({true, size_bytes, {}});
  Apply(node.unsynced.back(), &node.cached);
}

void SimulatedTree::SyncFile(uint64_t file) {
  Node& node = at(file);
  for (const FileChange& change : node.unsynced) Apply(change, &node.durable);
  node.unsynced.clear();
}

void SimulatedTree::LoseUnsynced(uint64_t file) { at(file).unsynced.clear(); }

// False, and nothing done, where it does not fit what is durable: the operations that it follows were lost.
bool SimulatedTree::MakeDurable(const NameOperation& operation) {
  for (const NameChange& change : operation) {
    const auto& names = at(change.directory).durable_names;
    const auto found = names.find(change.name);
    if ((found == names.end() ? 0 : found->second) != change.before) return false;
  }
  for (const NameChange& change : operation) {
    auto& names = at(change.directory).durable_names;
    if (change.after == 0)
      names.erase(change.name);
    else
      names[change.name] = change.after;
  }
  return true;
}

void SimulatedTree::SyncDirectory(uint64_t directory) {
  // From the last to the first: an operation is needed when it is in this directory or a later one builds on it.
  std::set<std::pair<uint64_t, std::string>> needed;
  std::vector<bool> is_needed(unsynced_names_.size(), false);
  for (size_t i = unsynced_names_.size(); i-- > 0;) {
    const NameOperation& operation = unsynced_names_[i];
    is_needed[i] = std::any_of(operation.begin(), operation.end(), [&](const NameChange& change) {
      return change.directory == directory || needed.contains({change.directory, change.name});
    });
    if (!is_needed[i]) continue;
    for (const NameChange& change : operation) needed.insert({change.directory, change.name});
  }
  std::vector<NameOperation> rest;
  for (size_t i = 0; i < unsynced_names_.size(); ++i) {
    if (is_needed[i])
      MakeDurable(unsynced_names_[i]);
    else
      rest.push_back(std::move(unsynced_names_[i]));
  }
  unsynced_names_ = std::move(rest);
}

void SimulatedTree::SyncEverything() {
  for (auto& [number, node] : nodes_) {
    node.durable = node.cached;
    node.durable_names = node.cached_names;
    node.unsynced.clear();
  }
  unsynced_names_.clear();
}

uint64_t SimulatedTree::UsedBytes() const {
  uint64_t used = 0;
  for (const auto& [number, node] : nodes_)
    if (!node.is_directory && (node.n_names > 0 || node.n_opens > 0)) used += node.cached.size();
  return used;
}

// And forgets what has none any more.
void SimulatedTree::CountNames() {
  std::vector<uint64_t> directories{kRoot};
  std::set<uint64_t> reached{kRoot};
  while (!directories.empty()) {
    const uint64_t directory = directories.back();
    directories.pop_back();
    for (const auto& [name, child] : at(directory).cached_names) {
      ++at(child).n_names;
      if (reached.insert(child).second && at(child).is_directory) directories.push_back(child);
    }
  }
  std::erase_if(nodes_, [&](const auto& entry) { return !reached.contains(entry.first); });
}

SimulatedTree SimulatedTree::AfterPowerCut(Unsynced unsynced, uint64_t seed) const {
  SimulatedTree after = *this;
  std::mt19937_64 random(seed);
  // Sometimes nearly all is lost, sometimes nearly nothing.
  const double share = unsynced == Unsynced::kDropAll   ? 0
                       : unsynced == Unsynced::kKeepAll ? 1
                                                        : std::uniform_real_distribution<double>(0.05, 0.95)(random);
  std::bernoulli_distribution is_kept(share);
  for (const NameOperation& operation : after.unsynced_names_)
    if (is_kept(random)) after.MakeDurable(operation);
  after.unsynced_names_.clear();
  for (auto& [number, node] : after.nodes_) {
    for (const FileChange& change : node.unsynced) ApplySome(change, share, &random, &node.durable);
    node.unsynced.clear();
    node.cached = node.durable;
    node.cached_names = node.durable_names;
    node.n_opens = node.n_names = 0;
  }
  after.CountNames();
  return after;
}

}  // namespace gpumerge::test
