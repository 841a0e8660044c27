// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Help fits 100 columns: flags on the left, text from column 27 on.
#include "src/cli/help_text.h"

#include <fmt/format.h>

namespace gpumerge::cli {
namespace {

constexpr size_t kTextColumn = 27;

std::string FlagLines(const FlagSpec& flag) {
  std::string left = flag.short_name.empty() ? std::string("      ") : fmt::format("  -{}, ", flag.short_name);
  left += fmt::format("--{}", flag.name);
  if (!flag.value.empty()) left += fmt::format("{}{}", flag.needs_equals ? '=' : ' ', flag.value);
  std::string lines = left.size() + 2 > kTextColumn ? fmt::format("{}\n{:{}}", left, "", kTextColumn)
                                                    : fmt::format("{:{}}", left, kTextColumn);
  for (const char c : flag.help) {
    lines += c;
    if (c == '\n') lines.append(kTextColumn, ' ');
  }
  return lines + "\n";
}

std::string FlagSections(Verb verb) {
  std::string text;
  std::string_view group;
  for (const FlagSpec& flag : Flags()) {
    if (!flag.Takes(verb)) continue;
    if (flag.group != group) text += fmt::format("\n{}\n", flag.group);
    group = flag.group;
    text += FlagLines(flag);
  }
  return text;
}

}  // namespace

std::string ShortHelp() {
  return "gpumerge merges fine-tuned models by a recipe.\n\n"
         "  gpumerge --config recipe.yaml          merge\n"
         "  gpumerge plan --config recipe.yaml     say what it would do\n"
         "  gpumerge --help                        everything else\n";
}

std::string MainHelp() {
  std::string text =
      "gpumerge merges fine-tuned language models (safetensors) by a recipe: mergekit's YAML, unchanged.\n\n"
      "A recipe, say blend.yaml:\n\n"
      "  merge_method: ties                # how; `gpumerge methods` lists the methods\n"
      "  base_model: ./base                # a directory, or org/name in the Hugging Face cache\n"
      "  models:\n"
      "    - model: ./german\n"
      "      parameters: {weight: 1, density: 0.5}\n"
      "    - model: ./python\n"
      "      parameters: {weight: 1, density: 0.5}\n\n"
      "  gpumerge plan --config blend.yaml    check it and see what would be done, in no time\n"
      "  gpumerge --config blend.yaml         do it; the model appears in blend-merged/\n\n"
      "Verbs\n";
  for (const VerbSpec& verb : Verbs())
    text += fmt::format("  {:10} {}\n", verb.name, verb.summary.substr(0, verb.summary.find('\n')));
  text +=
      "\n`gpumerge VERB --help` explains one. A recipe or directory whose name is also a verb is given with --config\n"
      "or --out. The flags of a merge:\n";
  text += FlagSections(Verb::kMerge);
  text += "\nExamples\n";
  for (const VerbSpec& verb : Verbs()) text += verb.examples;
  text +=
      "\nEqual recipes give equal bytes, whatever the machine, the threads and the memory. Exit status: 0 done,\n"
      "2 command line, 3 recipe, 4 model not found, 5 damaged input, 6 models do not fit together, 7 NaN or\n"
      "overflow, 8 output, 9 output exists, 10 memory or device, 128+n stopped by signal n (`gpumerge errors`).\n";
  return text;
}

std::string VerbHelp(Verb verb) {
  if (verb == Verb::kMerge) return MainHelp();
  const VerbSpec& spec = SpecOf(verb);
  return fmt::format("{}\n\nUsage: gpumerge {}\n{}\nExamples\n{}", spec.summary, spec.usage, FlagSections(verb),
                     spec.examples);
}

}  // namespace gpumerge::cli
