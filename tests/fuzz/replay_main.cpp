// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A fuzz target without libFuzzer: every seed of a folder, and simple mutations of them, the same ones in every run.
//   replay_x FOLDER MUTATIONS
#include "tests/fuzz/fuzz_target.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

namespace {

using Random = std::mt19937_64;

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

size_t Below(size_t n, Random* random) { return n == 0 ? 0 : std::uniform_int_distribution<size_t>(0, n - 1)(*random); }

void Mutate(const std::vector<std::string>& seeds, Random* random, std::string* text) {
  const size_t at = Below(text->size() + 1, random), length = Below(16, random) + 1;
  const std::string& other = seeds[Below(seeds.size(), random)];
  switch (Below(6, random)) {
    case 0:  // a bit
      if (at < text->size()) (*text)[at] = static_cast<char>((*text)[at] ^ (1 << Below(8, random)));
      break;
    case 1:
      text->resize(at);
      break;
    case 2:
      text->erase(at, length);
      break;
    case 3:  // again
      text->insert(at, text->substr(at, length));
      break;
    case 4:  // from another seed
      text->insert(at, other.substr(Below(other.size(), random), length * 4));
      break;
    default:
      text->insert(at, std::string(1, static_cast<char>(Below(256, random))));
  }
}

void Run(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const auto& path : paths) seeds.push_back(Read(path));
  if (seeds.empty()) {
    std::fprintf(stderr, "no seeds in %s\n", argv[1]);
    return 1;
  }
  for (const std::string& seed : seeds) Run(seed);
  const size_t n_mutations = std::stoul(argv[2]);
  Random random(6);
  for (size_t i = 0; i < n_mutations; ++i) {
    std::string text = seeds[i % seeds.size()];
    for (size_t n = Below(4, &random) + 1; n-- > 0;) Mutate(seeds, &random, &text);
    Run(text);
  }
  std::printf("%zu seeds, %zu mutations\n", seeds.size(), n_mutations);
  return 0;
}
