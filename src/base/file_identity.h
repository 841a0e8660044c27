// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whether an input is still the file that was looked at before. Thread-safe.
#pragma once

#include "gpumerge/error.h"
#include "gpumerge/file_identity.h"

#include <optional>
#include <string>

namespace gpumerge {

// The identity of a path now, following links; nullopt when it cannot be had.
std::optional<FileIdentity> IdentifyFile(const std::string& path);
// The identity of an open file. Throws Error(IN-EIO).
FileIdentity IdentifyOpenFile(int fd, const std::string& path);

// Throws Error(IN-CHANGED) unless the open file is what it was, Error(IN-EIO).
void CheckOpenUnchanged(int fd, const std::string& path, const FileIdentity& before);
// IN-CHANGED.
Error FileChanged(const std::string& path);

}  // namespace gpumerge
