// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads finished tensors again, from the disk rather than from the page cache where the system lets us ask for that.
#pragma once

#include "gpumerge/plan.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace gpumerge {

// XXH3-128 in hex of what the shards in directory hold of each of the items, in their order; "" where it cannot be
// read. Called now and then from this thread: report(bytes read so far); what it throws ends the reading.
std::vector<std::string> HashStaged(const Plan& plan, const std::string& directory, const std::vector<uint64_t>& items,
                                    uint32_t n_threads, const std::function<void(uint64_t bytes)>& report);

}  // namespace gpumerge
