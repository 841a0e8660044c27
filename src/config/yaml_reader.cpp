// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads the documents of a recipe with yaml-cpp, and turns the parser's complaints into ours.
#include "src/config/yaml_builder.h"
#include "src/config/yaml_tree.h"

#include <fmt/format.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <string>

namespace gpumerge {
namespace {

// Causes that the parser's own words do not make plain.
std::string SyntaxHelp(std::string_view line, std::string_view rest, std::string_view problem) {
  const size_t indent_end = line.find_first_not_of(" \t");
  if (line.substr(0, indent_end).find('\t') != std::string_view::npos)
    return "the line is indented with a tab; YAML allows only spaces";
  if (rest.starts_with("*") || problem.find("alias") != std::string_view::npos)
    return "text that begins with * is an alias in YAML; put it in quotes";
  if (problem.find("illegal map value") != std::string_view::npos)
    return "check the indentation, and put text that holds ': ' in quotes";
  return "";
}

[[noreturn]] void FailSyntax(const YAML::Exception& exception, MarkReader& marks, Findings& findings) {
  const size_t line = exception.mark.line > 0 ? static_cast<size_t>(exception.mark.line) : 0;
  findings.Fail(marks.At(exception.mark),
                {.code = ErrorCode::kYamlSyntax,
                 .message = fmt::format("not valid YAML: {}", exception.msg),
                 .help = SyntaxHelp(marks.Line(line), marks.TextAt(exception.mark), exception.msg)});
}

bool HasDocumentMarker(std::string_view text) {
  const size_t first_text = text.find_first_not_of(" \t\r\n");
  return first_text != std::string_view::npos && text.find("\n---", first_text) != std::string_view::npos;
}

[[noreturn]] void FailAfterEnd(Location at, Findings& findings) {
  findings.Fail(at, {.code = ErrorCode::kYamlSyntax,
                     .message = "not valid YAML: something follows the end of the recipe",
                     .help = "check the indentation and the brackets above"});
}

}  // namespace

std::vector<YamlNode> ReadYaml(std::string_view raw_text, Findings& findings) {
  const std::string_view text = CheckRecipeText(raw_text, findings);
  MarkReader marks(text);
  TreeBuilder builder(marks, findings);
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder))
      if (builder.n_documents() > 1 && !HasDocumentMarker(text)) FailAfterEnd(builder.document_at(), findings);
  } catch (const YAML::Exception& exception) {
    FailSyntax(exception, marks, findings);
  } catch (const std::logic_error& exception) {
    // yaml-cpp lets some errors of the standard library out, without a place.
    findings.Fail({}, {.code = ErrorCode::kYamlSyntax, .message = fmt::format("not valid YAML: {}", exception.what())});
  }
  std::vector<YamlNode> documents = builder.TakeRoots();
  if (documents.empty()) {
    findings.Fail({1, 1}, {.code = ErrorCode::kYamlDocs,
                           .message = "the recipe is empty",
                           .expected = "a mapping with merge_method and models"});
  }
  const auto is_empty = [](const YamlNode& document) { return document.kind == YamlKind::kNull; };
  if (!std::all_of(documents.begin(), documents.end(), is_empty)) std::erase_if(documents, is_empty);
  return documents;
}

}  // namespace gpumerge
