// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The only file that sees CLI11. It cuts the command line into pieces; messages and exit status are ours.
#include "src/cli/flags.h"
#include "src/cli/values.h"

#include "gpumerge/error.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace gpumerge::cli {
namespace {

[[noreturn]] void Fail(std::string message, std::string help) {
  throw Error(UsageProblem(std::move(message), std::move(help)));
}

// `--out --overwrite` would otherwise make a directory called "--overwrite".
void CheckValue(const FlagSpec& flag, const std::string& value) {
  if (value.starts_with("--"))
    Fail(fmt::format("--{} needs a value: {}", flag.name, flag.value),
         fmt::format("\"{}\" follows it, which looks like a flag; a path can be written ./{}", value, value));
  if (value.empty())
    Fail(fmt::format("--{} is given an empty value", flag.name),
         fmt::format("write --{} {}, or leave it out", flag.name, flag.value));
}

// CLI11's message begins with the flag's name, which is all that is used of it.
[[noreturn]] void FailAs(Verb verb, std::string_view message) {
  const size_t begin = std::min(message.find_first_not_of('-'), message.size());
  const FlagSpec* flag = FindFlag(message.substr(begin, message.find_first_of(": ", begin) - begin));
  const std::string help = fmt::format("`gpumerge {} --help` lists the flags", SpecOf(verb).name);
  if (flag == nullptr) Fail(std::string(message), help);
  if (flag->value.empty()) Fail(fmt::format("--{} takes no value", flag->name), help);
  Fail(fmt::format("--{} needs a value: {}", flag->name, flag->value), help);
}

// `--resume recipe.yaml` would otherwise take the recipe for a value.
void CheckEquals(Verb verb, const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return;
    const FlagSpec* flag = argument.starts_with("--") ? FindFlag(argument.substr(2)) : nullptr;
    if (flag != nullptr && flag->needs_equals && flag->Takes(verb))
      Fail(fmt::format("{} needs its value after an equals sign", argument),
           fmt::format("write --{}={}, or leave it out", flag->name, flag->value));
  }
}

struct Slot {
  const FlagSpec* flag;
  std::vector<std::string> values;
  CLI::Option* option = nullptr;
};

void Declare(CLI::App& app, Slot& slot) {
  const FlagSpec& flag = *slot.flag;
  const std::string names =
      (flag.short_name.empty() ? std::string() : fmt::format("-{},", flag.short_name)) + fmt::format("--{}", flag.name);
  if (flag.value.empty()) {
    slot.option = app.add_flag(names)->disable_flag_override();
  } else {
    // Collected as a list of single values, so that a flag given twice is noticed here and named in our words.
    slot.option = app.add_option(names, slot.values)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    slot.option->allow_extra_args(false);
  }
}

void Collect(const Slot& slot, RawFlags* raw) {
  if (slot.option->count() == 0) return;
  const FlagSpec& flag = *slot.flag;
  if (!flag.value.empty()) {
    if (slot.values.size() > 1)
      Fail(fmt::format("--{} is given {} times", flag.name, slot.values.size()), "give it once");
    CheckValue(flag, slot.values.front());
  }
  raw->given.emplace(flag.name, flag.value.empty() ? std::string() : slot.values.front());
}

}  // namespace

RawFlags ParseFlags(Verb verb, const std::vector<std::string>& arguments) {
  CheckEquals(verb, arguments);
  CLI::App app;
  app.set_help_flag();  // help is one of our own flags
  app.allow_extras();
  std::vector<Slot> slots;
  for (const FlagSpec& flag : Flags())
    if (flag.Takes(verb)) slots.push_back({&flag, {}, nullptr});
  for (Slot& slot : slots) Declare(app, slot);

  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // CLI11 wants the last one first
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    FailAs(verb, error.what());
  }

  RawFlags raw;
  for (const Slot& slot : slots) Collect(slot, &raw);
  bool only_positionals = false;
  for (const std::string& rest : app.remaining()) {
    if (!only_positionals && rest == "--")
      only_positionals = true;
    else if (!only_positionals && rest.size() > 1 && rest.front() == '-')
      raw.unknown.push_back(rest);
    else
      raw.positionals.push_back(rest);
  }
  return raw;
}

}  // namespace gpumerge::cli
