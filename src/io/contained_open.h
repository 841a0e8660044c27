// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Opens files of a model without leaving its directory: an index or a symbolic link from the network must not make a
// merge read another model, let alone /etc. Never blocks on special files. Thread-safe.
#pragma once

#include "src/base/file.h"

#include <string>
#include <string_view>

namespace gpumerge {

// path is absolute and, as text, lies below root; root is absolute with links resolved, and "/" contains everything.
// The file must be regular. An empty UniqueFd: there is no such file, or a link in the path leads nowhere.
// Throws Error(IN-SYMLINK) when a link leaves root, Error(IN-NOTREG, IN-EIO).
UniqueFd OpenContained(const std::string& root, const std::string& path);

// Whether the absolute path lies below root or is root, as text.
bool LiesBelow(std::string_view path, std::string_view root);

}  // namespace gpumerge
