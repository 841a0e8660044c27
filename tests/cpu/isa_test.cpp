// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cpu/isa.h"

#include "gpumerge/error.h"

#include <gtest/gtest.h>

namespace gpumerge {
namespace {

TEST(ChooseIsa, TheBestUnlessOneIsNamed) {
  EXPECT_EQ(&ChooseIsa(""), UsableIsas().back());
  for (const CpuIsaMethods* isa : UsableIsas()) EXPECT_EQ(&ChooseIsa(std::string(isa->isa)), isa);
}

TEST(ChooseIsa, NamesTheUsableOnesWhenItCannot) {
  try {
    ChooseIsa("x86-64-v9");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDeviceUnavailable);
    const Diagnostic& diagnostic = error.diagnostics().front();
    EXPECT_EQ(diagnostic.message, "the instruction set x86-64-v9 cannot be used on this processor");
    for (const CpuIsaMethods* isa : UsableIsas())
      EXPECT_NE(diagnostic.expected.find(isa->isa), std::string::npos) << isa->isa;
    EXPECT_EQ(diagnostic.help, "leave --isa out to take the best one");
  }
}

}  // namespace
}  // namespace gpumerge
