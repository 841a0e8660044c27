// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A small merge on a simulated disk: two models, five tensors, two shards, one thread that reads. The disk is below
// /proc, where nothing can be made by mistake. For tests that cut the power, kill the program or let a call fail
// anywhere in it.
#pragma once

#include "tests/support/model_writer.h"
#include "tests/support/simulated_disk.h"

#include "gpumerge/error.h"
#include "gpumerge/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge::test {

using Files = std::map<std::string, std::string>;

// Where the output goes, and what is there before.
struct Scene {
  std::string name;
  bool is_in_place = false;  // into the root of the disk, which cannot be renamed
  bool overwrites = false;
  bool exchanges = true;            // names; else the old output makes room by a rename
  bool renames_directories = true;  // else files move one by one, as in place
  uint64_t batch_bytes = 1;         // the journal is written after so many: each tensor on its own

  std::string target() const { return is_in_place ? "/proc/disk" : "/proc/disk/out"; }
};

inline void PrintTo(const Scene& scene, std::ostream* out) { *out << scene.name; }

inline std::vector<Scene> AllScenes() {
  return {{.name = "fresh"},
          {.name = "two batches", .batch_bytes = 700},
          {.name = "one batch", .batch_bytes = 1 << 30},
          {.name = "overwrite", .overwrites = true},
          {.name = "overwrite without exchange", .overwrites = true, .exchanges = false},
          {.name = "in place", .is_in_place = true},
          {.name = "in place, overwrite", .is_in_place = true, .overwrites = true},
          {.name = "file by file", .renames_directories = false},
          {.name = "file by file, overwrite", .overwrites = true, .renames_directories = false}};
}

inline std::string SceneName(const ::testing::TestParamInfo<Scene>& scene) {
  std::string name = scene.param.name;
  std::erase_if(name, [](char letter) { return letter == ' ' || letter == ','; });
  return name;
}

class DiskFixture : public ::testing::Test {
 protected:
  // The models are the kernel's, unless they are to be on the disk.
  static constexpr const char* kModelsOnDisk = "/proc/disk/models";

  void SetUp() override {
    const std::string config = "{\n  \"model_type\": \"llama\",\n  \"num_hidden_layers\": 1,\n  \"vocab_size\": 9\n}\n";
    for (const char* name : {"/a", "/b"}) {
      const auto seed = static_cast<uint64_t>(name[1]);
      WriteModel(scratch.path() + name,
                 {PatternTensor("model.embed_tokens.weight", DType::kBF16, {9, 17}, seed),
                  PatternTensor("model.layers.0.mlp.up_proj.weight", DType::kBF16, {13, 17}, seed),
                  PatternTensor("model.layers.0.post_norm.weight", DType::kBF16, {5}, seed),
                  PatternTensor("model.layers.0.pre_norm.weight", DType::kBF16, {5}, seed),
                  PatternTensor("model.norm.weight", DType::kBF16, {17}, seed)},
                 config);
      WriteTextFile(scratch.path() + name + "/tokenizer.json", "{\"version\": \"1.0\"}");
    }
  }

  // What another disk of the scene does not know.
  static void MakeAs(const Scene& scene, SimulatedDisk* disk) {
    if (!scene.exchanges) disk->SetNoExchange();
    if (!scene.renames_directories) disk->SetNoDirectoryRename();
  }

  // The disk at the start, with an old output where one is replaced.
  std::unique_ptr<SimulatedDisk> StartDisk(const Scene& scene, const std::string& models) const {
    auto disk = std::make_unique<SimulatedDisk>("/proc/disk");
    MakeAs(scene, disk.get());
    for (const auto& [name, contents] : Old(scene)) disk->PutFile(scene.target() + "/" + name, contents);
    if (models != kModelsOnDisk) return disk;
    for (const char* model : {"a", "b"})
      for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"}) {
        const std::string path = std::string("/") + model + "/" + file;
        disk->PutFile(models + path, ReadTextFile(scratch.path() + path));
      }
    return disk;
  }

  static Files Old(const Scene& scene) {
    if (!scene.overwrites) return {};
    return {{"config.json", "{\"old\": 1}"},
            {"gpumerge_report.json", "{}"},
            {"model-00001-of-00003.safetensors", "old shard"},
            {"model.safetensors.index.json", "old index"}};
  }

  static MergeConfig Recipe(const std::string& models) {
    const std::string recipe =
        "merge_method: linear\nshard_size: 1200\ntokenizer_source: " + models + "/a\nmodels:\n  - model: " + models +
        "/a\n    parameters: {weight: 0.5}\n  - model: " + models + "/b\n    parameters: {weight: 0.25}\n";
    std::vector<Diagnostic> warnings;
    return ParseConfig(recipe, "recipe.yaml", &warnings);
  }

  static Plan MakePlan(const Scene& scene, const std::string& models) {
    PlanOptions options;
    options.output_dir = scene.target();
    options.overwrite = scene.overwrites;
    return PlanMerge(Recipe(models), options);
  }

  static RunOptions Options(const Scene& scene) {
    RunOptions options;
    options.device = Device::kCpu;
    options.threads = 1;
    options.memory_bytes = uint64_t{8} << 30;  // sanitizers take their share
    options.sync = Sync::kFull;
    options.max_batch_bytes = scene.batch_bytes;
    options.overwrite = scene.overwrites;
    return options;
  }

  // Of the whole merge on that disk; nothing when it was good. n_resumed counts tensors that an interrupted run left.
  static std::optional<Diagnostic> Run(const Plan& plan, const RunOptions& options, SimulatedDisk* disk,
                                       uint64_t* n_resumed = nullptr) {
    const ReplacedSystemCalls replaced(*disk);
    try {
      const RunStats stats = RunMerge(plan, options);
      if (n_resumed != nullptr) *n_resumed += stats.totals.tensors_resumed;
    } catch (const Error& error) {
      return error.diagnostics().front();
    }
    return std::nullopt;
  }

  static std::unique_ptr<SimulatedDisk> Copy(const SimulatedDisk& disk, const Scene& scene) {
    auto copy = disk.AfterKill();
    MakeAs(scene, copy.get());
    return copy;
  }

  // What a loader finds; not what gpumerge keeps there for itself.
  static Files Output(const SimulatedDisk& disk, const Scene& scene) {
    Files files = disk.Files(scene.target());
    std::erase_if(files, [](const auto& file) { return file.first.starts_with(".gpumerge"); });
    return files;
  }

  // "" when a loader finds the old output or all of the new one; where names cannot be exchanged, nothing to open is
  // good too, as the next run goes on from there.
  static std::string HalfOutput(const SimulatedDisk& disk, const Scene& scene, const Files& expected) {
    const Files found = Output(disk, scene);
    if (found == Old(scene) || found == expected) return "";
    const bool has_gap = scene.is_in_place || !scene.exchanges || !scene.renames_directories;
    if (has_gap && !found.contains("config.json")) return "";
    return "half an output:" + Listing(found, expected);
  }

  static std::string Listing(const Files& found, const Files& expected) {
    std::string text;
    for (const auto& [name, contents] : found) {
      const auto same = expected.find(name);
      const bool is_same = same != expected.end() && same->second == contents;
      text += " " + name + (is_same ? " (new)" : " (" + std::to_string(contents.size()) + " bytes)");
    }
    return text;
  }

  // What stands beside the output, models apart.
  static std::vector<std::string> Leftovers(const SimulatedDisk& disk) {
    std::vector<std::string> names;
    for (const auto& [name, contents] : disk.Files("/proc/disk"))
      if (name.starts_with(".")) names.push_back(name);
    return names;
  }

  ScratchDir scratch;
};

}  // namespace gpumerge::test
