// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `chat_template:`: where the text goes, and which one `auto` is.
#include "src/config/chat_template.h"
#include "tests/plan/plan_fixture.h"

namespace gpumerge::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ChatTemplatesTest : public PlanTest {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b", "c"}) {
      Write(name, {});
      WriteTextFile(dir_ / name + "/tokenizer.json", R"({"model": {"type": "BPE", "vocab": {}}})");
      WriteTextFile(dir_ / name + "/tokenizer_config.json", "{\n  \"bos_token\": \"<s>\"\n}\n");
    }
  }
  static std::string Recipe(std::string_view chat_template) {
    return "merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: $D/a}, {model: $D/b}, {model: $D/c}]\n"
           "chat_template: " +
           std::string(chat_template) + "\n";
  }
  static bool IsCopied(const Plan& plan, std::string_view name) {
    return std::any_of(plan.copied_files.begin(), plan.copied_files.end(),
                       [&](const PlanCopiedFile& file) { return file.file_name == name; });
  }
};

TEST_F(ChatTemplatesTest, ATextGoesToBothPlaces) {
  WriteTextFile(dir_ / "a/chat_template.jinja", "{{ 'old' }}");
  const Plan plan = MakePlan(Recipe("\"{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}\""));
  const std::string expected = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}";
  EXPECT_EQ(TextFile(plan, "chat_template.jinja"), expected);
  EXPECT_EQ(TextFile(plan, "tokenizer_config.json"),
            "{\n  \"bos_token\": \"<s>\",\n  \"chat_template\": \"" + expected + "\"\n}\n");
  EXPECT_FALSE(IsCopied(plan, "chat_template.jinja") || IsCopied(plan, "tokenizer_config.json"));
  EXPECT_TRUE(IsCopied(plan, "tokenizer.json"));
}

TEST_F(ChatTemplatesTest, NamesAreOfOurs) {
  for (const std::string_view name : ChatTemplateNames()) {
    const std::string_view text = NamedChatTemplate(name);
    EXPECT_EQ(ChatTemplateDefect(text), "") << name;
    EXPECT_EQ(TextFile(MakePlan(Recipe(name)), "chat_template.jinja"), text);
  }
  EXPECT_THAT(ChatTemplateNames(), ElementsAre("alpaca", "chatml", "exaone", "llama3", "mistral"));
}

TEST_F(ChatTemplatesTest, WithoutTheKeyFilesAreCopied) {
  WriteTextFile(dir_ / "a/chat_template.jinja", "{{ 'own' }}");
  const Plan plan = MakePlan("merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: $D/a}, {model: $D/b}]\n");
  EXPECT_TRUE(IsCopied(plan, "chat_template.jinja"));
  EXPECT_TRUE(IsCopied(plan, "tokenizer_config.json"));
}

TEST_F(ChatTemplatesTest, AutoIsWhatMostModelsHave) {
  WriteTextFile(dir_ / "a/tokenizer_config.json", R"({"chat_template": "{{ 1 }}"})");
  WriteTextFile(dir_ / "b/chat_template.jinja", "{{ 2 }}");
  WriteTextFile(
      dir_ / "c/tokenizer_config.json",
      R"({"chat_template": [{"name": "tools", "template": "{{ 3 }}"}, {"name": "default", "template": "{{ 2 }}"}]})");
  const Plan plan = MakePlan(Recipe("auto"));
  EXPECT_EQ(TextFile(plan, "chat_template.jinja"), "{{ 2 }}");
  EXPECT_EQ(TextFile(plan, "tokenizer_config.json"), R"({"chat_template": "{{ 2 }}"})");
  EXPECT_THAT(plan.notes, Contains(HasSubstr("b\", which 2 of 3 models have")));
  // Of equals the first.
  std::filesystem::remove(dir_ / "b/chat_template.jinja");
  EXPECT_EQ(TextFile(MakePlan(Recipe("auto")), "chat_template.jinja"), "{{ 1 }}");
}

TEST_F(ChatTemplatesTest, ProblemsAreFoundWhilePlanning) {
  EXPECT_EQ(Info(Problem(Recipe("auto")).code).code, "CFG-MISSING");
  for (const char* name : {"a", "b", "c"}) {
    std::filesystem::remove(dir_ / name + "/tokenizer.json");
    std::filesystem::remove(dir_ / name + "/tokenizer_config.json");
  }
  EXPECT_THAT(Problem(Recipe("chatml")).message, HasSubstr("has no tokenizer to use it"));
  MergeConfig config = Config(Recipe("chatml"));
  config.chat_template = "{% if %}";
  EXPECT_THROW(PlanMerge(config, {}), Error);
}

}  // namespace
}  // namespace gpumerge::test
