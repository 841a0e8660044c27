// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The whole card as a literal, and names that try to break out of YAML, Markdown or the recipe's fence.
#include "src/io/model_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gpumerge {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ModelCardInput SmallInput() {
  return {.title = "ties-merged",
          .method = "ties",
          .method_summary = "trims, elects signs and averages.",
          .method_reference = "Yadav et al. 2023, arXiv:2306.01708",
          .models = {{.name = "org/base-7B", .is_hub = true, .is_base = true},
                     {.name = "org/tuned_1.5@main", .is_hub = true},
                     {.name = "local model"},
                     {.name = "org/base-7B", .is_hub = true}},
          .recipe_yaml = "merge_method: ties\n"};
}

TEST(ModelCard, WholeText) {
  EXPECT_EQ(MakeModelCard(SmallInput()), R"(---
base_model:
- org/base-7B
- org/tuned_1.5
library_name: transformers
tags:
- gpumerge
- merge
---
# ties-merged

This model is a merge of language models, made with gpumerge.

## Merge method

`ties`: trims, elects signs and averages.

Reference: Yadav et al. 2023, arXiv:2306.01708

## Models

| Model | Role |
| --- | --- |
| [org/base-7B](https://huggingface.co/org/base-7B) | base |
| [org/tuned\_1.5\@main](https://huggingface.co/org/tuned_1.5) | merged |
| local model | merged |
| [org/base-7B](https://huggingface.co/org/base-7B) | merged |

## Recipe

```yaml
merge_method: ties
```
)");
}

TEST(ModelCard, OnlyHubIdsAreBaseModels) {
  ModelCardInput input = SmallInput();
  input.models.clear();
  // A local directory may look like an id; a "hub" name that is none must not reach the YAML.
  input.models.push_back({.name = "models/base"});
  for (const char* name : {"a/b/c", "/a", "a/", "gpt2", "a b/c", "a/b: c", "a/\nb", "-a/b", "a/..", "a--b/c", "\"a/b"})
    input.models.push_back({.name = name, .is_hub = true});
  EXPECT_TRUE(MakeModelCard(input).starts_with("---\nlibrary_name: transformers\n"));
}

TEST(ModelCard, NamesAreEscapedForMarkdown) {
  ModelCardInput input = SmallInput();
  input.title = "a\n# b";
  input.models = {{.name = "x|y`z` <b> [l](http://e) *s* \n\x1b[31m \xff \\"}};
  const std::string card = MakeModelCard(input);
  EXPECT_THAT(card, HasSubstr("\n# a\\\\n\\# b\n"));
  EXPECT_THAT(
      card,
      HasSubstr("| x\\|y\\`z\\` \\<b\\> \\[l\\]\\(http\\://e\\) \\*s\\* \\\\n\\\\x1b\\[31m \\\\xff \\\\ | merged |\n"));
  EXPECT_THAT(card, Not(HasSubstr("\x1b")));
}

TEST(ModelCard, RecipeCannotCloseItsFence) {
  ModelCardInput input = SmallInput();
  input.recipe_yaml = "a: |\n  ```\n  ````\nb: 1";
  EXPECT_THAT(MakeModelCard(input), HasSubstr("## Recipe\n\n`````yaml\na: |\n  ```\n  ````\nb: 1\n`````\n"));
}

TEST(ModelCard, NoReferenceNoLine) {
  ModelCardInput input = SmallInput();
  input.method_reference.clear();
  EXPECT_THAT(MakeModelCard(input), Not(HasSubstr("Reference")));
}

}  // namespace
}  // namespace gpumerge
