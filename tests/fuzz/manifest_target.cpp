// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A user's list of checksums, in sha256sum's form.
#include "src/io/checksums.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gpumerge;        // NOLINT
  using namespace gpumerge::test;  // NOLINT
  Accepts([&] {
    ChecksumManifest manifest(AsText(data, size), "/none/SHA256SUMS");
    const auto known = manifest.Find("/none/model.safetensors");
    Promise(!known || known->hex.size() == 64, "a checksum has 64 digits");
  });
  return 0;
}
