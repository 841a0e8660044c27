// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The verb, the flags' meaning, and help for those who mistyped.
#include "src/cli/arguments.h"

#include "src/base/text.h"
#include "src/cli/device_values.h"
#include "src/cli/help_text.h"
#include "src/cli/peer_flags.h"
#include "src/cli/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sys/stat.h>

namespace gpumerge::cli {
namespace {

constexpr uint64_t kMaxThreads = 1024;
// A shard holds at least one tensor whatever its size says; less than this is a slip of the unit.
constexpr uint64_t kMinShardBytes = 1000;
constexpr std::array<std::string_view, 2> kSyncs{"full", "none"};
constexpr std::array<std::string_view, 3> kIos{"auto", "pread", "sync"};  // as in Io
constexpr std::array<std::string_view, 2> kResumes{"check", "trust"};
constexpr std::array<std::string_view, 2> kVerifies{"full", "header"};
constexpr std::array<std::string_view, 2> kErrorFormats{"text", "json"};

std::vector<std::string_view> VerbNames() {
  std::vector<std::string_view> names{"help", "version"};
  for (const VerbSpec& verb : Verbs()) names.push_back(verb.name);
  return names;
}

bool Exists(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

// The flag meant by a word such as "--overwrit" or "--mem": the only one that begins so, else the nearest.
std::string MeantFlag(Verb verb, const std::string& word) {
  const std::string name =
      word.substr(word.starts_with("--") ? 2 : 1, word.find('=') - (word.starts_with("--") ? 2 : 1));
  std::vector<std::string_view> names, begin_so;
  for (const FlagSpec& flag : Flags())
    if (flag.Takes(verb)) {
      names.push_back(flag.name);
      if (name.size() > 1 && flag.name.starts_with(name)) begin_so.push_back(flag.name);
    }
  const std::string_view meant = begin_so.size() == 1 ? begin_so.front() : NearestName(name, names);
  return meant.empty() ? std::string() : fmt::format("did you mean --{}?", meant);
}

Diagnostic UnknownFlag(Verb verb, const std::string& word) {
  if (const std::string_view advice = PeerFlagAdvice(word); !advice.empty())
    return UsageProblem(fmt::format("{} is a mergekit flag that gpumerge does not take", word), std::string(advice));
  const std::string verb_help = fmt::format("`gpumerge {}--help` lists the flags",
                                            verb == Verb::kMerge ? "" : fmt::format("{} ", SpecOf(verb).name));
  const std::string name = word.starts_with("--") ? word.substr(2, word.find('=') - 2) : std::string();
  if (FindFlag(name) != nullptr)
    return UsageProblem(fmt::format("`gpumerge {}` does not take --{}", SpecOf(verb).name, name), verb_help);
  const std::string meant = MeantFlag(verb, word);
  return UsageProblem(fmt::format("unknown flag {}", word), meant.empty() ? verb_help : meant);
}

// The verb that a first word which is no path was meant to be; "" when there is none.
std::string_view MeantVerb(const std::string& word) {
  if (word.find_first_of("/.") != std::string::npos || Exists(word)) return {};
  const std::vector<std::string_view> verbs = VerbNames();
  return NearestName(word, verbs);
}

// "gpumerge pln --config x.yaml" would otherwise merge into a directory called pln.
void CheckMistypedVerb(const std::string& word, Problems* problems) {
  if (const std::string_view meant = MeantVerb(word); !meant.empty())
    problems->push_back(
        UsageProblem(fmt::format("\"{}\" is not a verb", word),
                     fmt::format("did you mean `gpumerge {}`? A directory is given as --out {}", meant, word)));
}

// "gpumerge pln" and "gpumerge frobnicate": there is no such recipe, and the word does not look like a file either.
void CheckFirstWord(const std::string& word, Problems* problems) {
  if (word.find_first_of("/.") != std::string::npos || Exists(word)) return;
  const std::string_view meant = MeantVerb(word);
  problems->push_back(UsageProblem(
      fmt::format("\"{}\" is neither a verb nor an existing recipe", word),
      meant.empty()
          ? std::string(
                "verbs: merge, plan, inspect, verify, devices, methods, errors; a recipe is given as --config FILE")
          : fmt::format("did you mean `gpumerge {}`?", meant)));
}

// RECIPE and DIR may come without --config and --out.
// first_word: of the command line, "" when that was the verb.
void PlaceRunPositionals(const RawFlags& raw, const std::string& first_word, Arguments* arguments, Problems* problems) {
  std::vector<std::string> words = raw.positionals;
  if (std::find(words.begin(), words.end(), "") != words.end())
    problems->push_back(UsageProblem("an argument is empty", "perhaps a shell variable is not set"));
  for (const std::string& word : words)
    if (FindVerb(word) != nullptr)
      problems->push_back(UsageProblem(
          fmt::format("\"{}\" is a verb and comes first: gpumerge {} ...", word, word),
          fmt::format("for a recipe or directory of that name write --config {} or --out {}", word, word)));
  if (raw.Has("config")) {
    arguments->recipe = raw.Get("config");
    if (!words.empty() && words.front() == first_word && problems->empty()) CheckMistypedVerb(first_word, problems);
  } else if (!words.empty()) {
    arguments->recipe = words.front();
    words.erase(words.begin());
    if (arguments->recipe == first_word && problems->empty()) CheckFirstWord(first_word, problems);
  } else {
    problems->push_back(UsageProblem("no recipe is given", "gpumerge --config recipe.yaml"));
  }
  arguments->plan.output_dir = raw.Get("out");
  if (words.empty()) return;
  if (raw.Has("out") || words.size() > 1)
    problems->push_back(UsageProblem(
        fmt::format("\"{}\" is one argument too many", words.back()),
        fmt::format("recipe: {}, output: {}", arguments->recipe, raw.Has("out") ? raw.Get("out") : words.front())));
  else
    arguments->plan.output_dir = words.front();
}

void PlaceTopic(const RawFlags& raw, Arguments* arguments, Problems* problems) {
  const VerbSpec& spec = SpecOf(arguments->verb);
  if (raw.positionals.size() > spec.max_positionals)
    problems->push_back(
        UsageProblem(fmt::format("\"{}\" is one argument too many", raw.positionals[spec.max_positionals]),
                     fmt::format("usage: gpumerge {}", spec.usage)));
  if (!raw.positionals.empty())
    arguments->topic = raw.positionals.front();
  else if (arguments->verb == Verb::kInspect || arguments->verb == Verb::kVerify)
    problems->push_back(UsageProblem("no model is given", fmt::format("usage: gpumerge {}", spec.usage)));
}

void FillResume(const RawFlags& raw, RunOptions* run, Problems* problems) {
  const bool trusts = Choice(raw, "resume", kResumes, problems).value_or(0) == 1;
  run->resume = raw.Has("restart") ? Resume::kNever : trusts ? Resume::kTrust : Resume::kCheck;
  run->verify = Choice(raw, "verify", kVerifies, problems).value_or(0) == 1 ? Verify::kHeader : Verify::kFull;
  if (raw.Has("restart") && raw.Has("resume"))
    problems->push_back(UsageProblem("--restart and --resume exclude each other", ""));
}

// What only GPUs, or only the CPU, heed is not ignored silently where the command line rules them out.
void CheckDeviceFlags(const RawFlags& raw, const RunOptions& run, Problems* problems) {
  const auto refuse = [&](std::string_view flag, std::string help) {
    if (raw.Has(flag))
      problems->push_back(
          UsageProblem(fmt::format("--{} has no meaning with --device {}", flag, raw.Get("device")), std::move(help)));
  };
  if (run.device == Device::kCpu || run.device == Device::kReference)
    for (const std::string_view flag : {"vram", "pinned"})
      refuse(flag, "it bounds what GPUs use; --memory SIZE bounds the whole process");
  if (run.device == Device::kCuda || run.device == Device::kReference)
    refuse("isa", "it chooses the code of --device cpu and hybrid");
}

void FillOptions(const RawFlags& raw, Arguments* arguments, Problems* problems) {
  arguments->plan.hub_cache = raw.Get("cache-dir");
  arguments->plan.follow_symlinks = raw.Has("follow-symlinks");
  arguments->plan.ignore_unlisted = raw.Has("ignore-unlisted");
  arguments->plan.copy_code = raw.Has("copy-code");
  arguments->plan.strict = arguments->run.strict = raw.Has("strict");
  arguments->plan.overwrite = arguments->run.overwrite = raw.Has("overwrite");
  DeviceOf(raw, "device", &arguments->run, problems);
  arguments->run.vram_bytes = Size(raw, "vram", 1, problems);
  arguments->run.pinned_bytes = Size(raw, "pinned", 1, problems);
  arguments->run.selfcheck_percent = Percent(raw, "selfcheck", problems);
  CheckDeviceFlags(raw, arguments->run, problems);
  arguments->rates = Rates(raw, "rates", problems);
  arguments->measure = raw.Has("measure");
  arguments->inputs = raw.Has("inputs");
  arguments->verify_inputs = raw.Has("verify-inputs") || raw.Has("manifest");
  arguments->manifest = raw.Get("manifest");
  arguments->run.threads = static_cast<uint32_t>(WholeNumber(raw, "threads", 1, kMaxThreads, problems).value_or(0));
  arguments->run.cpu_isa = InstructionSet(raw, "isa", problems);
  arguments->run.memory_bytes = Size(raw, "memory", 1, problems);
  arguments->run.io = static_cast<Io>(Choice(raw, "io", kIos, problems).value_or(0));
  arguments->run.sync = Choice(raw, "sync", kSyncs, problems).value_or(0) == 1 ? Sync::kNone : Sync::kFull;
  FillResume(raw, &arguments->run, problems);
  arguments->overrides.seed = WholeNumber(raw, "seed", 0, UINT64_MAX, problems);
  arguments->overrides.dtype = OutputType(raw, "dtype", problems);
  arguments->overrides.out_dtype = OutputType(raw, "out-dtype", problems);
  arguments->overrides.shard_size_bytes = Size(raw, "shard-size", kMinShardBytes, problems);
  arguments->error_format =
      Choice(raw, "error-format", kErrorFormats, problems).value_or(0) == 1 ? ErrorFormat::kJson : ErrorFormat::kText;
  arguments->json = raw.Has("json");
  arguments->markdown = raw.Has("markdown");
  arguments->quiet = raw.Has("quiet");
  arguments->verbose = raw.Has("verbose");
  arguments->stats_file = raw.Get("stats");
  arguments->trace_file = raw.Get("trace");
  if (raw.Has("stats") && raw.Get("stats") == raw.Get("trace"))
    problems->push_back(UsageProblem("--stats and --trace name the same file", "give each a file of its own"));
  arguments->log_file = raw.Get("log");
  arguments->keep_stages = raw.Get("keep-stages");
  if (arguments->quiet && arguments->verbose)
    problems->push_back(UsageProblem("--quiet and --verbose exclude each other", ""));
}

// With --dry-run a merge's command line is a plan's; what only a run heeds is not ignored silently.
void CheckDryRun(const RawFlags& raw, Problems* problems) {
  for (const auto& [name, value] : raw.given)
    if (name != "dry-run" && !FindFlag(name)->Takes(Verb::kPlan))
      problems->push_back(UsageProblem(fmt::format("--{} has no meaning with --dry-run", name), "leave it out"));
}

// Takes the verb off the words; `gpumerge help plan` is `gpumerge plan --help`.
Verb TakeVerb(std::vector<std::string>* words, bool* was_given) {
  if (words->empty()) return Verb::kMerge;
  if (words->front() == "help" && !Exists("help")) {
    words->erase(words->begin());
    words->push_back("--help");
  } else if (words->front() == "version" && !Exists("version")) {
    words->front() = "--version";
  }
  const VerbSpec* spec = FindVerb(words->front());
  *was_given = spec != nullptr;
  if (spec == nullptr) return Verb::kMerge;
  words->erase(words->begin());
  return spec->verb;
}

}  // namespace

void ApplyOverrides(const RecipeOverrides& overrides, MergeConfig* config) {
  if (overrides.seed) config->seed = *overrides.seed;
  for (MergeConfig& stage : config->stages)
    if (overrides.seed) stage.seed = *overrides.seed;
  if (overrides.dtype) config->dtype = overrides.dtype;
  if (overrides.out_dtype) config->out_dtype = overrides.out_dtype;
  if (overrides.shard_size_bytes) config->shard_size_bytes = overrides.shard_size_bytes;
}

ErrorFormat ErrorFormatOf(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i)
    if (words[i] == "--error-format=json" ||
        (words[i] == "--error-format" && i + 1 < words.size() && words[i + 1] == "json"))
      return ErrorFormat::kJson;
  return ErrorFormat::kText;
}

Arguments ParseArguments(const std::vector<std::string>& words) {
  std::vector<std::string> rest = words;
  bool verb_was_given = false;
  Arguments arguments;
  arguments.verb = TakeVerb(&rest, &verb_was_given);
  const RawFlags raw = ParseFlags(arguments.verb, rest);
  if (raw.Has("help"))
    arguments.answer = VerbHelp(arguments.verb);
  else if (raw.Has("version"))
    arguments.answer = "gpumerge " GPUMERGE_VERSION "\n";
  if (!arguments.answer.empty()) return arguments;

  Problems problems;
  for (const std::string& word : raw.unknown) problems.push_back(UnknownFlag(arguments.verb, word));
  FillOptions(raw, &arguments, &problems);
  // After an unknown flag the words that follow may be its values, so nothing is said about them.
  const bool words_are_known = problems.empty();
  Problems misplaced;
  if (arguments.verb == Verb::kMerge || arguments.verb == Verb::kPlan)
    PlaceRunPositionals(raw, verb_was_given ? std::string() : words.front(), &arguments, &misplaced);
  else
    PlaceTopic(raw, &arguments, &misplaced);
  if (words_are_known) problems.insert(problems.end(), misplaced.begin(), misplaced.end());
  if (raw.Has("dry-run")) {
    CheckDryRun(raw, &problems);
    arguments.verb = Verb::kPlan;
  }
  if (arguments.verb == Verb::kMerge && arguments.json)
    problems.push_back(UsageProblem("--json goes with --dry-run", "a merge writes its measurements with --stats FILE"));
  if (!problems.empty()) throw Error(std::move(problems));
  return arguments;
}

}  // namespace gpumerge::cli
