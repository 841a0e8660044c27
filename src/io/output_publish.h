// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How a complete staging directory becomes the output. A kill at any moment leaves the old output or the new one; where
// files have to be moved one by one, it may leave a directory without config.json, which FinishPublishing completes.
#pragma once

#include "src/io/output_target.h"
#include "src/io/publishing_list.h"

#include "gpumerge/options.h"

#include <string>

namespace gpumerge {

// When it returns, the target is the new output, durable if asked. Staging and the old output may still be there.
// Throws Error(OUT-IO, OUT-FSYNC, OUT-EXISTS); staging must be kept then: FinishPublishing may need it.
// identity: of the merge, for a run that finds it half done.
void PublishStaging(const OutputPlaces& places, const std::string& identity, bool overwrite, Sync sync);

// Of what a killed run had begun to publish: a file that is neither staged nor in the target, with its size. Empty: it
// can be finished.
std::string MissingForPublishing(const OutputPlaces& places, const PublishingList& list);
// Puts it in place as PublishStaging does. Throws Error(OUT-EXISTS) and leaves all as it is when the target holds what
// is not on the list; Error(OUT-IO, OUT-FSYNC).
void FinishPublishing(const OutputPlaces& places, const PublishingList& list, Sync sync);

}  // namespace gpumerge
