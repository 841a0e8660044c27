// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What every fuzz target is made of. A target takes any bytes and aborts when the code under it does anything but
// accept them (then with every promise kept) or throw an Error that is not a bug. Built by clang's libFuzzer
// (scripts/fuzz) and, with its seeds and simple mutations of them, as an ordinary test.
#pragma once

#include "gpumerge/error.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace gpumerge::test {

inline void Promise(bool is_kept, const char* what) {
  if (is_kept) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

// Whether f() returned. An Error that says "a bug in gpumerge" is one, as is any other exception.
template <class Function>
bool Accepts(const Function& f) {
  try {
    f();
    return true;
  } catch (const Error& error) {
    for (const Diagnostic& diagnostic : error.diagnostics()) {
      Promise(diagnostic.code != ErrorCode::kInternal, diagnostic.message.c_str());
      Promise(!diagnostic.message.empty(), "an error says what is wrong");
    }
    return false;
  } catch (const std::exception& other) {
    Promise(false, other.what());
  }
  return false;
}

inline std::string_view AsText(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

}  // namespace gpumerge::test
