// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Files that are cut short or have one wrong bit: an input's header, the journal, what is staged. Either nothing comes
// of it but an error, or the output has the bytes that it has without the damage.
#include "tests/faults/disk_fixture.h"

#include <fmt/format.h>

#include <cctype>
#include <random>

namespace gpumerge::test {
namespace {

std::string WithFlippedBit(std::string bytes, size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  return bytes;
}

class Damage : public DiskFixture {
 protected:
  void SetUp() override {
    DiskFixture::SetUp();
    start = StartDisk(scene, kModelsOnDisk);
    const auto disk = Copy(*start, scene);
    plan = PlanOn(disk.get());
    start = StartDisk(scene, kModelsOnDisk);
    const auto good = Copy(*start, scene);
    ASSERT_FALSE(Run(plan, Options(scene), good.get()).has_value());
    expected = Output(*good, scene);
    changes = good->calls();
    std::erase_if(changes, [](const DiskCall& call) { return !call.is_change; });
  }

  Plan PlanOn(SimulatedDisk* disk) const {
    const ReplacedSystemCalls replaced(*disk);
    return MakePlan(scene, kModelsOnDisk);
  }

  // What a run leaves that is killed before the first change that is_it says.
  template <class Function>
  std::unique_ptr<SimulatedDisk> KilledBefore(const Function& is_it) const {
    const auto found = std::find_if(changes.begin(), changes.end(), is_it);
    EXPECT_NE(found, changes.end());
    const auto disk = Copy(*start, scene);
    disk->StopAtChange(static_cast<uint64_t>(found - changes.begin()) + 1);
    EXPECT_TRUE(Run(plan, Options(scene), disk.get()).has_value());
    return disk->AfterKill();
  }
  // All tensors are written, and in the journal.
  std::unique_ptr<SimulatedDisk> KilledWhenMerged() const {
    return KilledBefore([](const DiskCall& call) { return call.path.ends_with("index.json.part"); });
  }

  // "" when the output is right, or when there is none and the error is as `is_allowed` says.
  template <class Function>
  std::string Wrong(SimulatedDisk* disk, const RunOptions& options, const Function& is_allowed) {
    const std::optional<Diagnostic> diagnostic = Run(plan, options, disk, &n_resumed);
    const Files found = Output(*disk, scene);
    if (!diagnostic) return found == expected ? "" : "another output:" + Listing(found, expected);
    ++n_refused;
    if (!found.empty()) return "refused, but there is an output";
    return is_allowed(Info(diagnostic->code).exit_status) ? "" : "refused: " + diagnostic->message;
  }

  static std::string Staged(const std::string& name) { return "/proc/disk/.out.gpumerge-tmp/" + name; }
  static constexpr const char* kShards[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  const Scene scene{.name = "fresh"};
  std::unique_ptr<SimulatedDisk> start;
  Plan plan;
  Files expected;
  std::vector<DiskCall> changes;
  uint64_t n_refused = 0, n_resumed = 0;
};

TEST_F(Damage, AnInputCutShortAnywhereIsRefused) {
  const std::string path = std::string(kModelsOnDisk) + "/b/model.safetensors";
  const std::string good = start->Files("/proc/disk").at("models/b/model.safetensors");
  for (size_t size = 0; size < good.size(); ++size) {
    start->PutFile(path, good.substr(0, size));
    try {
      PlanOn(start.get());
      ADD_FAILURE() << "accepted with " << size << " of " << good.size() << " bytes";
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_status(), 5) << error.what();
      EXPECT_THAT(error.diagnostics()[0].where, ::testing::HasSubstr("/b/model.safetensors"));
    }
  }
}

TEST_F(Damage, AnInputWithAFlippedBitInItsHeaderIsRefusedOrMeansTheSame) {
  const std::string path = std::string(kModelsOnDisk) + "/b/model.safetensors";
  const std::string good = start->Files("/proc/disk").at("models/b/model.safetensors");
  const size_t header_bytes = 8 + static_cast<unsigned char>(good[0]) + 256u * static_cast<unsigned char>(good[1]);
  uint64_t n_accepted = 0, n_all = 0;
  for (size_t bit = 0; bit < header_bytes * 8; ++bit) {
    const auto disk = Copy(*start, scene);
    disk->PutFile(path, WithFlippedBit(good, bit));
    ++n_all;
    try {
      const Plan other = PlanOn(disk.get());
      ++n_accepted;
      const std::optional<Diagnostic> diagnostic = Run(other, Options(scene), disk.get());
      Files found = Output(*disk, scene);
      // The report has the hashes of what was read, and nothing else of the header.
      EXPECT_FALSE(diagnostic.has_value());
      for (const char* shard : kShards) EXPECT_EQ(found[shard], expected[shard]) << "bit " << bit;
      EXPECT_EQ(found["config.json"], expected["config.json"]) << "bit " << bit;
    } catch (const Error& error) {
      EXPECT_TRUE(error.exit_status() >= 4 && error.exit_status() <= 6) << "bit " << bit << ": " << error.what();
    }
  }
  std::printf("%lu flipped bits in a header, %lu of them change nothing\n", n_all, n_accepted);
  EXPECT_LT(n_accepted, n_all / 10);
}

TEST_F(Damage, AFlippedBitInWhatIsStagedIsFoundOnResuming) {
  const auto killed = KilledWhenMerged();
  const Files staged = killed->Files("/proc/disk/.out.gpumerge-tmp");
  std::mt19937_64 random(6);
  uint64_t n_flips = 0;
  for (const char* shard : kShards) {
    const std::string& good = staged.at(shard);
    for (size_t byte = 0; byte < good.size(); byte += 5) {
      const auto disk = Copy(*killed, scene);
      disk->PutFile(Staged(shard), WithFlippedBit(good, byte * 8 + random() % 8));
      EXPECT_EQ(Wrong(disk.get(), Options(scene), [](int) { return false; }), "") << shard << " byte " << byte;
      ++n_flips;
    }
  }
  // The two other tensors of each are as they were.
  EXPECT_GT(n_resumed, n_flips);
  EXPECT_EQ(n_refused, 0u);
}

TEST_F(Damage, AFlippedBitBeforeVerifyingIsNeverPublished) {
  std::mt19937_64 random(7);
  uint64_t n_flips = 0;
  for (const char* shard : kShards) {
    const size_t size = expected.at(shard).size();
    for (size_t byte = 0; byte < size; byte += 9) {
      const auto disk = Copy(*start, scene);
      // config.json is the last file to be written: then all is verified.
      disk->FlipAfter({.name = "Rename", .path = Staged("config.json"), .nth = 1}, Staged(shard),
                      byte * 8 + random() % 8);
      EXPECT_EQ(Wrong(disk.get(), Options(scene), [](int exit) { return exit == 8; }), "") << shard << " byte " << byte;
      EXPECT_EQ(Wrong(disk.get(), Options(scene), [](int) { return false; }), "") << shard << " byte " << byte;
      ++n_flips;
    }
  }
  EXPECT_EQ(n_refused, n_flips);
}

TEST_F(Damage, ADamagedJournalIsNotBelieved) {
  const auto killed = KilledWhenMerged();
  const std::string good = killed->Files("/proc/disk/.out.gpumerge-tmp").at("journal.gpj");
  std::mt19937_64 random(8);
  uint64_t n_damages = 0;
  const auto check = [&](const std::string& damaged, const std::string& what) {
    const auto disk = Copy(*killed, scene);
    disk->PutFile(Staged("journal.gpj"), damaged);
    RunOptions options = Options(scene);
    // Not even when it is to be trusted.
    if (++n_damages % 2 == 0) {
      options.resume = Resume::kTrust;
      options.verify = Verify::kHeader;
    }
    const uint64_t before = n_refused;
    EXPECT_EQ(Wrong(disk.get(), options, [](int exit) { return exit == 9; }), "") << what;
    if (n_refused == before) return;
    options.resume = Resume::kNever;
    EXPECT_EQ(Wrong(disk.get(), options, [](int) { return false; }), "") << what << ", anew";
  };
  for (size_t byte = 0; byte < good.size(); byte += 3)
    check(WithFlippedBit(good, byte * 8 + random() % 8), fmt::format("a bit of byte {}", byte));
  for (size_t size = 0; size < good.size(); size += 7) check(good.substr(0, size), fmt::format("cut at {}", size));
  EXPECT_GT(n_resumed, 100u);
}

}  // namespace
}  // namespace gpumerge::test
