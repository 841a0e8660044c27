// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Recipes of several documents over the fixture's models, and the same documents run one by one. Header-only.
#pragma once

#include "tests/run/device_fixture.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge::test {

class StagesFixture : public DeviceFixture {
 protected:
  // Name and text, in which "$D" is the directory of the models and "$name" a stage; the output's name is "".
  using Documents = std::vector<std::pair<std::string, std::string>>;

  // Random draws in a stage, one that two others read, and one that is rounded to another type than the others.
  static Documents ThreeStages() {
    return {{"soup",
             "merge_method: linear\ndtype: float16\nmodels:\n  - {model: $D/a, parameters: {weight: 0.3}}\n"
             "  - {model: $D/b, parameters: {weight: 0.7}}\n"},
            {"dropped",
             "merge_method: dare_ties\nseed: 9\nbase_model: $D/base\nparameters: {density: 0.4, weight: 0.6}\n"
             "models:\n  - model: $soup\n  - model: $D/c\n"},
            {"",
             "merge_method: slerp\nbase_model: $soup\nparameters: {t: 0.4}\ndtype: bfloat16\nmodels:\n"
             "  - model: $soup\n  - model: $dropped\n"}};
  }
  // Layers of a stage used twice and out of order, others not at all.
  static Documents RepeatedLayers() {
    return {{"trimmed",
             "merge_method: ties\nbase_model: $D/base\nparameters: {density: 0.3, weight: 1}\nmodels:\n"
             "  - model: $D/a\n  - model: $D/b\n"},
            {"",
             "merge_method: passthrough\nslices:\n  - sources: [{model: $trimmed, layer_range: [1, 2]}]\n"
             "  - sources: [{model: $D/c, layer_range: [0, 1]}]\n"
             "  - sources: [{model: $trimmed, layer_range: [1, 2]}]\n"}};
  }

  std::string WithPlaces(std::string text, const std::map<std::string, std::string>& places) const {
    for (const auto& [name, place] : places)
      for (size_t at = text.find("$" + name); at != std::string::npos; at = text.find("$" + name, at))
        text.replace(at, name.size() + 1, place);
    return text;
  }

  // One recipe; the documents in this order or the other way round.
  std::string Recipe(const Documents& documents, bool backwards = false) const {
    std::map<std::string, std::string> places{{"D", scratch.path()}};
    for (const auto& [name, text] : documents)
      if (!name.empty()) places[name] = name;
    std::vector<std::string> texts;
    for (const auto& [name, text] : documents)
      texts.push_back((name.empty() ? "" : "name: " + name + "\n") + WithPlaces(text, places));
    if (backwards) std::reverse(texts.begin(), texts.end());
    std::string recipe;
    for (const std::string& text : texts) recipe += (recipe.empty() ? "" : "---\n") + text;
    return recipe;
  }

  // Every document as a recipe of its own, in order. What the last one wrote.
  std::map<std::string, std::string> OneByOne(const Documents& documents) {
    std::map<std::string, std::string> places{{"D", scratch.path()}}, written;
    for (const auto& [name, text] : documents) {
      const std::string out = name.empty() ? "output" : name;
      const std::string own = (name.empty() ? "" : "name: " + name + "\n") + WithPlaces(text, places);
      written = Contents(RunMerge(MakePlan(own, "one_by_one/" + out), Quick()).output_dir);
      places[name] = scratch / "one_by_one/" + out;
    }
    return written;
  }

  // What a model is: not the recipe, the card and the report, which say how it was made.
  static std::map<std::string, std::string> Model(std::map<std::string, std::string> files) {
    for (const char* name : {"README.md", "gpumerge_config.yaml", "gpumerge_report.json"}) files.erase(name);
    return files;
  }
};

}  // namespace gpumerge::test
