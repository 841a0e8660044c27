// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How a complete staging directory becomes the output. A kill at any moment leaves the old output or the new one; where
// files have to be moved one by one, it may leave a directory without config.json, which FinishPublishing completes.
#pragma once

#include "src/io/output_target.h"

#include "gpumerge/options.h"

namespace gpumerge {

// When it returns, the target is the new output, durable if asked. Staging and the old output may still be there.
// Throws Error(OUT-IO, OUT-FSYNC, OUT-EXISTS); staging must be kept then: FinishPublishing may need it.
void PublishStaging(const OutputPlaces& places, bool overwrite, Sync sync);

// What a killed run had begun to publish is put in place. False: there is nothing of that kind.
bool FinishPublishing(const OutputPlaces& places, Sync sync);

}  // namespace gpumerge
