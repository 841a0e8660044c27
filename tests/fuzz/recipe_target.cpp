// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A recipe, from its text to the plan of a merge of the tiny models base, a and b in the working directory. What is
// accepted is written back as YAML that means the same, and a plan keeps inside its files.
#include "src/config/emit.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/model_writer.h"

#include "gpumerge/merge.h"

#include <optional>
#include <unistd.h>

namespace gpumerge::test {
namespace {

void MakeModels() {
  static const ScratchDir scratch;
  for (const char* name : {"base", "a", "b"})
    WriteTinyModel(scratch / name, {.dtype = DType::kBF16, .n_layers = 2, .seed = static_cast<uint64_t>(name[0])});
  if (::chdir(scratch.path().c_str()) != 0) std::abort();
}

void CheckPlan(const MergeConfig& config) {
  PlanOptions options;
  options.output_dir = "out";
  std::optional<Plan> plan;
  if (!Accepts([&] { plan = PlanMerge(config, options); })) return;
  for (const PlanItem& item : plan->items) {
    if (item.stage) continue;
    Promise(item.shard < plan->shards.size(), "a tensor has a file");
    Promise(item.offset_bytes + item.size_bytes <= plan->shards[item.shard].size_bytes, "a tensor lies in its file");
  }
}

}  // namespace
}  // namespace gpumerge::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gpumerge;        // NOLINT
  using namespace gpumerge::test;  // NOLINT
  static const bool has_models = (MakeModels(), true);
  (void)has_models;
  std::vector<Diagnostic> warnings;
  std::optional<MergeConfig> config;
  if (!Accepts([&] { config = ParseConfig(AsText(data, size), "recipe.yaml", &warnings); })) return 0;
  const std::string written = EmitConfig(*config);
  std::string again;
  Promise(Accepts([&] { again = EmitConfig(ParseConfig(written, "recipe.yaml", &warnings)); }),
          "a recipe that is written can be read");
  if (again != written) std::fprintf(stderr, "%s\n--- became ---\n%s\n", written.c_str(), again.c_str());
  Promise(again == written, "a recipe that is written means the same");
  CheckPlan(*config);
  return 0;
}
