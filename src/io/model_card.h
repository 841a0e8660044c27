// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// README.md of a merged model, as the Hugging Face hub shows it. Names come from recipes and directories: they are
// escaped for YAML and Markdown. Nothing in a card depends on time, machine or paths. Thread-safe.
#pragma once

#include <string>
#include <vector>

namespace gpumerge {

struct ModelCardModel {
  std::string name;      // last path component, or org/name; never a path
  bool is_hub = false;   // found as org/name[@revision] on the hub
  bool is_base = false;  // the task vectors' base
};

struct ModelCardInput {
  std::string title;
  // From the table of methods, so printed as they are: name, one line, paper or source (may be empty).
  std::string method, method_summary, method_reference;
  std::vector<ModelCardModel> models;
  std::string recipe_yaml;
};

std::string MakeModelCard(const ModelCardInput& input);

}  // namespace gpumerge
