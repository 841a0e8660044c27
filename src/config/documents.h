// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A recipe of several documents: each is a recipe, those with a name can stand wherever a model can in the others, and
// one of them is what the merge writes.
#pragma once

#include "src/config/findings.h"
#include "src/config/yaml_tree.h"

#include "gpumerge/config.h"

#include <vector>

namespace gpumerge {

// Reads and checks every document (see recipe.h), and how they fit together.
MergeConfig ReadDocuments(std::vector<YamlNode>& documents, Findings& findings);

}  // namespace gpumerge
