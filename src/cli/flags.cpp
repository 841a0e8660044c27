// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The verb and flag tables. Help texts are written for somebody who reads them for the first time.
#include "src/cli/flags.h"

#include <algorithm>
#include <array>

namespace gpumerge::cli {
namespace {

constexpr std::array<VerbSpec, 7> kVerbs{{
    {Verb::kMerge, "merge", "--config RECIPE [--out DIR] [flags]     (or: gpumerge RECIPE [DIR])",
     "Merge models by a recipe. `merge` itself may be left out.",
     "  gpumerge --config configs/ties.yaml                 into ties-merged/\n"
     "  gpumerge recipe.yaml merged/                        as mergekit-yaml is called\n"
     "  gpumerge --config recipe.yaml --out merged --seed 7 --memory 4G\n",
     2},
    {Verb::kPlan, "plan", "plan --config RECIPE [flags]",
     "Check a recipe and say what a merge would do, from the files' headers alone.\nReads no weights and writes "
     "nothing.",
     "  gpumerge plan --config configs/ties.yaml\n"
     "  gpumerge plan --config recipe.yaml --json | python3 -m json.tool\n"
     "  gpumerge plan --config recipe.yaml --vram 80G --rates disk=7G,link=50G,out=3G\n",
     2},
    {Verb::kInspect, "inspect", "inspect MODEL [flags]", "Say what a model holds, from its headers alone.",
     "  gpumerge inspect tests/models/base                  a directory\n"
     "  gpumerge inspect org/name@main                      the local Hugging Face cache\n"
     "  gpumerge inspect model.safetensors --json\n",
     1},
    {Verb::kVerify, "verify", "verify DIR [--inputs] [flags]",
     "Check a merged model against its report: structure, config.json, and every tensor's hash.\nAny other model: its "
     "structure.",
     "  gpumerge verify merged                              also years later, on another machine\n"
     "  gpumerge verify merged --inputs                     what the merge read, too; run it where the merge ran\n"
     "  gpumerge verify org/name                            without a report: structure alone\n",
     1},
    {Verb::kDevices, "devices", "devices [flags]",
     "Say which GPUs there are, what the CPU can do, and which of them a merge would use.",
     "  gpumerge devices\n"
     "  gpumerge devices --measure                          times copies to each GPU and back\n",
     0},
    {Verb::kMethods, "methods", "methods [NAME]", "List the merge methods, or explain one with its parameters.",
     "  gpumerge methods\n"
     "  gpumerge methods ties\n",
     1},
    {Verb::kErrors, "errors", "errors [CODE]", "List the error codes and exit statuses, or explain one.",
     "  gpumerge errors\n"
     "  gpumerge errors MM-SHAPE\n",
     1},
}};

const std::vector<Verb> kRunVerbs{Verb::kMerge, Verb::kPlan};
const std::vector<Verb> kMergeOnly{Verb::kMerge};
const std::vector<Verb> kPlanOnly{Verb::kPlan};
const std::vector<Verb> kDevicesOnly{Verb::kDevices};
const std::vector<Verb> kListVerbs{Verb::kMethods, Verb::kErrors};
const std::vector<Verb> kModelVerbs{Verb::kMerge, Verb::kPlan, Verb::kInspect, Verb::kVerify};
const std::vector<Verb> kStrictVerbs{Verb::kMerge, Verb::kPlan, Verb::kVerify};
const std::vector<Verb> kVerifyOnly{Verb::kVerify};
const std::vector<Verb> kQuietVerbs{Verb::kMerge, Verb::kVerify};
const std::vector<Verb> kEvery{Verb::kMerge,   Verb::kPlan,    Verb::kInspect, Verb::kVerify,
                               Verb::kDevices, Verb::kMethods, Verb::kErrors};

constexpr std::string_view kRecipe = "Recipe and output";
constexpr std::string_view kOverride = "Instead of the recipe's keys";
constexpr std::string_view kMachine = "This machine (changes no byte of the output)";
constexpr std::string_view kTalk = "What is printed";

const std::vector<FlagSpec> kFlags{
    {"config", "c", "FILE", kRecipe, "the recipe: mergekit's YAML, unchanged", kRunVerbs},
    {"out", "o", "DIR", kRecipe,
     "where the merged model goes (default: the recipe's\n`output:`, else NAME-merged for NAME.yaml, in this "
     "directory)",
     kRunVerbs},
    {"overwrite", "", "", kRecipe, "replace an existing output directory", kRunVerbs},
    {"keep-stages", "", "DIR", kRecipe,
     "of a recipe of several documents: run them one by one and\nkeep what each named one writes, in DIR/NAME",
     kMergeOnly},
    {"dry-run", "n", "", kRecipe, "plan only: the same as `gpumerge plan`", kMergeOnly},
    {"strict", "", "", kRecipe, "treat every warning as an error; nothing is published then", kStrictVerbs},
    {"inputs", "", "", kRecipe, "also hash what the merge read, by the recipe and report in DIR", kVerifyOnly},
    {"verify-inputs", "", "", kRecipe,
     "hash the input files first, against the names of the hub's\nblobs or --manifest; a weight file of which neither "
     "says\nanything is an error",
     kMergeOnly},
    {"manifest", "", "FILE", kRecipe,
     "checksums for --verify-inputs, which it implies: what\n`sha256sum` writes; names count from FILE's directory",
     kMergeOnly},
    {"follow-symlinks", "", "", kRecipe, "links in a model's directory may lead out of it", kModelVerbs},
    {"ignore-unlisted", "", "", kRecipe,
     "leave out tensors that a shard holds and the index does not\nlist, with a warning", kModelVerbs},
    {"copy-code", "", "", kRecipe,
     "copy the .py files beside config.json, for models that need\ntrust_remote_code; none is run", kRunVerbs},
    {"cache-dir", "", "DIR", kRecipe,
     "Hugging Face cache to find org/name models in (default:\nHF_HUB_CACHE, HF_HOME/hub); nothing is downloaded",
     kModelVerbs},
    {"seed", "", "N", kOverride, "`seed:` of the random methods (default 0), in every document", kRunVerbs},
    {"dtype", "", "TYPE", kOverride, "`dtype:` of the output, e.g. bfloat16; sums are in\nfloat32 whatever it is",
     kRunVerbs},
    {"out-dtype", "", "TYPE", kOverride, "`out_dtype:`, which wins over dtype", kRunVerbs},
    {"shard-size", "", "SIZE", kOverride, "`shard_size:`, the most bytes in one file (default 5G)", kRunVerbs},
    {"device", "", "NAME", kMachine,
     "auto (the default): the GPUs that work, else the CPU;\ncpu; cuda, or cuda:0,2 for some GPUs; hybrid: GPUs and "
     "CPU\ntogether; reference (scalar and slow, to check the others)",
     kRunVerbs},
    {"vram", "", "SIZE", kMachine,
     "the most memory to use on each GPU (default: nine tenths\nof what is free there); tensors that do not fit are "
     "streamed",
     kRunVerbs},
    {"pinned", "", "SIZE", kMachine,
     "the most host memory to pin for copies to GPUs; it is part\nof --memory (default: what the merge has use for)",
     kRunVerbs},
    {"selfcheck", "", "P", kMachine,
     "compute P % of the tensors again with the reference\nexecutor; a difference stops the merge (default 0)",
     kMergeOnly},
    {"threads", "", "N", kMachine, "compute threads (default: one a core)", kRunVerbs},
    {"isa", "", "NAME", kMachine,
     "instruction set of the CPU's code, as `gpumerge devices`\nlists them (default: the best that works here)",
     kRunVerbs},
    {"memory", "", "SIZE", kMachine,
     "memory budget, kept: 32M, 4G, 512Mi (default: half of\nwhat is available, at most 1 GB + the largest tensor "
     "group)",
     kRunVerbs},
    {"io", "", "auto|pread|sync", kMachine,
     "auto (the default): threads read, and the kernel is asked\nahead for files that are not in its page cache; "
     "pread: "
     "is\nnot; sync: one read or write at a time, in a fixed order",
     kRunVerbs},
    {"rates", "", "LIST", kMachine,
     "speeds of a machine, e.g. disk=7G,link=50G,out=3G: adds\nhow long each stage takes there. Bytes a second; disk: "
     "reading,\nlink: to the GPUs, out: writing, compute: as a run's summary\nsays. With a link and no GPU here, the "
     "plan is "
     "costed for one\nof --vram SIZE",
     kPlanOnly},
    {"measure", "", "", kMachine, "time copies between the host and each GPU, half a second", kDevicesOnly},
    {"restart", "", "", kMachine, "begin anew; what an interrupted run has finished is thrown away", kMergeOnly},
    {"resume", "", "check|trust", kMachine,
     "how to go on after an interrupted run, which the same\ncommand always does: check (the default) reads and hashes "
     "again\nwhat is finished, trust does not",
     kMergeOnly, true},
    {"verify", "", "full|header", kMachine,
     "before it is published, the output is read again and hashed\n(full, the default), or only its structure is "
     "looked at",
     kMergeOnly},
    {"sync", "", "full|none", kMachine,
     "none leaves flushing to disk to the system: faster, but a\npower cut may cost the output", kMergeOnly},
    {"quiet", "q", "", kTalk, "only warnings and errors", kQuietVerbs},
    {"verbose", "v", "", kTalk, "also notes on how things were decided", kMergeOnly},
    {"json",
     "",
     "",
     kTalk,
     "the result as JSON",
     {Verb::kMerge, Verb::kPlan, Verb::kInspect, Verb::kVerify, Verb::kDevices}},
    {"markdown", "", "", kTalk, "the table that the README has", kListVerbs},
    {"stats", "", "FILE", kTalk, "write what the run measured, as JSON", kMergeOnly},
    {"trace", "", "FILE", kTalk,
     "write what each thread did when, for ui.perfetto.dev or\nchrome://tracing; takes 8 MB of --memory", kMergeOnly},
    {"log", "", "FILE", kTalk, "append every message to FILE, with the time", kMergeOnly},
    {"error-format", "", "text|json", kTalk, "json: one line a warning or error, on standard error", kEvery},
    {"help", "h", "", kTalk, "this text", kEvery},
    {"version", "", "", kTalk, "the version", kEvery},
};

}  // namespace

std::span<const VerbSpec> Verbs() { return kVerbs; }

const VerbSpec* FindVerb(std::string_view name) {
  const auto found =
      std::find_if(kVerbs.begin(), kVerbs.end(), [&](const VerbSpec& spec) { return spec.name == name; });
  return found == kVerbs.end() ? nullptr : &*found;
}

const VerbSpec& SpecOf(Verb verb) {
  return *std::find_if(kVerbs.begin(), kVerbs.end(), [&](const VerbSpec& spec) { return spec.verb == verb; });
}

bool FlagSpec::Takes(Verb verb) const { return std::find(verbs.begin(), verbs.end(), verb) != verbs.end(); }

std::span<const FlagSpec> Flags() { return kFlags; }

const FlagSpec* FindFlag(std::string_view name) {
  const auto found =
      std::find_if(kFlags.begin(), kFlags.end(), [&](const FlagSpec& flag) { return flag.name == name; });
  return found == kFlags.end() ? nullptr : &*found;
}

std::string RawFlags::Get(std::string_view name) const {
  const auto found = given.find(name);
  return found == given.end() ? std::string() : found->second;
}

}  // namespace gpumerge::cli
