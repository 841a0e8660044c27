// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What moves to a target file by file, and what it may replace there: kept in the staging directory while that lasts,
// so that a killed run can be finished by the next one, and nothing be taken for the output that is not.
#pragma once

#include "src/io/output_target.h"

#include "gpumerge/options.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gpumerge {

struct PublishingList {
  struct File {
    std::string name;
    uint64_t size_bytes = 0;
  };
  std::string identity;          // of the merge, as its run gave it
  std::vector<File> files;       // of the new output, sorted by name
  std::vector<std::string> old;  // what was in the target and may go, sorted

  const File* Find(const std::string& name) const;
};

// Of what is in staging now; durable if asked when it returns. Throws Error(OUT-IO, OUT-FSYNC).
PublishingList WritePublishingList(const OutputPlaces& places, std::string identity, std::vector<std::string> old,
                                   Sync sync);
// nullopt: it is damaged. Throws Error(OUT-IO) when it cannot be read.
std::optional<PublishingList> ReadPublishingList(const OutputPlaces& places);

}  // namespace gpumerge
