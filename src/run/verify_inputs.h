// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Compares the files that a plan reads with the checksums that are known of them, before anything is done with them.
#pragma once

#include "gpumerge/options.h"
#include "gpumerge/plan.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace gpumerge {

struct VerifiedInputs {
  uint64_t n_files = 0, size_bytes = 0;
  std::vector<std::string> unknown;  // small files (config.json, tokenizers) of which no checksum is known
  std::vector<std::string> unread;   // files that the manifest lists and the merge does not read
};

// manifest: a list in sha256sum's form, which goes before what the hub says; "" = none. threads as in RunOptions.
// Throws Error(IN-HASH) for files that differ and for weights of which no checksum is known, Error(IN-*, CANCELLED).
VerifiedInputs VerifyInputs(const Plan& plan, const std::string& manifest, const RunOptions& options);

}  // namespace gpumerge
