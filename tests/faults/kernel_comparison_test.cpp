// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The simulated disk answers as the kernel does: random sequences of calls on both, every result, errno and byte
// compared. What differs is shrunk by rapidcheck to the shortest sequence.
#include "tests/support/model_writer.h"
#include "tests/support/simulated_disk.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sstream>
#include <sys/file.h>
#include <unistd.h>

namespace gpumerge::test {
namespace {

struct Step {
  int kind = 0, a = 0, b = 0, c = 0, d = 0;
};
std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << "Step{" << step.kind << ", " << step.a << ", " << step.b << ", " << step.c << ", " << step.d << "}";
}

rc::Gen<Step> AnyStep() {
  const auto number = rc::gen::inRange(0, 24);
  return rc::gen::build<Step>(rc::gen::set(&Step::kind, rc::gen::inRange(0, 15)), rc::gen::set(&Step::a, number),
                              rc::gen::set(&Step::b, number), rc::gen::set(&Step::c, number),
                              rc::gen::set(&Step::d, number));
}

// Does steps below one directory and tells what came of each.
class Player {
 public:
  Player(SystemCalls& calls, std::string root) : calls_(calls), root_(std::move(root)) {}
  ~Player() {
    for (const int fd : fds_) calls_.Close(fd);
  }
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  std::string Do(const Step& step) {
    static constexpr std::array kFlags = {
        O_RDONLY, O_RDWR | O_CREAT,       O_WRONLY | O_CREAT | O_EXCL, O_RDWR | O_CREAT | O_TRUNC,
        O_WRONLY, O_RDONLY | O_DIRECTORY, O_RDWR | O_APPEND,           O_RDWR | O_TMPFILE};
    static constexpr std::array kRenames = {0u, 0u, static_cast<unsigned>(RENAME_NOREPLACE),
                                            static_cast<unsigned>(RENAME_EXCHANGE)};
    const std::string path = Path(step.a), other = Path(step.b);
    const std::string text(static_cast<size_t>(step.b), static_cast<char>('a' + step.c));
    switch (step.kind) {
      case 0:
      case 1: {
        const int fd = calls_.Open(path.c_str(), kFlags[static_cast<size_t>(step.c) % kFlags.size()], 0666);
        if (fd >= 0) fds_.push_back(fd);
        return "open " + path + Told(fd >= 0 ? 0 : -1);
      }
      case 2: {
        if (fds_.empty()) return "";
        const size_t i = static_cast<size_t>(step.a) % fds_.size();
        const int result = calls_.Close(fds_[i]);
        fds_.erase(fds_.begin() + static_cast<std::ptrdiff_t>(i));
        return "close" + Told(result);
      }
      case 3:
      case 4:
        return "pwrite" + Told(calls_.Pwrite(Fd(step.a), text.data(), text.size(), step.d * 7 - 3));
      case 5: {
        std::string data(40, '\0');
        const ssize_t n = calls_.Pread(Fd(step.a), data.data(), static_cast<size_t>(step.c), step.d * 5 - 3);
        return "pread" + Told(n) + data.substr(0, n > 0 ? static_cast<size_t>(n) : 0);
      }
      case 6:
        return "ftruncate" + Told(calls_.Ftruncate(Fd(step.a), step.b * 9 - 5));
      case 7:
        return "fallocate" + Told(calls_.Fallocate(Fd(step.a), step.d % 3 == 0 ? 3 : 0, step.b * 4 - 2, step.c * 5));
      case 8:
        return "fsync" + Told(step.b % 2 == 0 ? calls_.Fsync(Fd(step.a)) : calls_.Fdatasync(Fd(step.a)));
      case 9:
        return "mkdir " + path + Told(calls_.Mkdir(path.c_str(), 0777));
      case 10:
        return "rmdir " + path + Told(calls_.Rmdir(path.c_str()));
      case 11:
        return "unlink " + path + Told(calls_.Unlink(path.c_str()));
      case 12:
      case 13: {
        const unsigned flags = kRenames[static_cast<size_t>(step.c) % kRenames.size()];
        return "rename " + path + " to " + other + Told(calls_.Rename(path.c_str(), other.c_str(), flags));
      }
      default:
        return "flock" + Told(calls_.Flock(Fd(step.a), (step.b % 3 == 0   ? LOCK_UN
                                                        : step.b % 3 == 1 ? LOCK_SH
                                                                          : LOCK_EX) |
                                                           LOCK_NB));
    }
  }

  // Names, kinds, sizes and contents of all there is.
  std::string All(const std::string& below = "") {
    std::string text;
    std::vector<std::string> names;
    const std::string directory = root_ + below;
    text += Told(calls_.ReadDirectory(directory.c_str(), &names));
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      const std::string path = below + "/" + name;
      struct stat status {};
      text += "\n" + path + Told(calls_.Lstat((root_ + path).c_str(), &status));
      if (S_ISDIR(status.st_mode)) {
        text += All(path);
        continue;
      }
      const int fd = calls_.Open((root_ + path).c_str(), O_RDONLY, 0);
      std::string data(4096, '\0');
      const ssize_t n = calls_.Pread(fd, data.data(), data.size(), 0);
      text += Told(n) + std::to_string(status.st_size) + data.substr(0, n > 0 ? static_cast<size_t>(n) : 0);
      calls_.Close(fd);
    }
    return text;
  }

 private:
  // Few names, so that they meet; some with odd spellings.
  std::string Path(int number) const {
    static constexpr std::array kPaths = {"/a",     "/b",  "/c",    "/a/x",    "/a/y",   "/b/x",  "/b/y", "/a/x/1",
                                          "/b/x/1", "/a/", "/b/x/", "/a/../b", "/a/./x", "/b//y", "/c/",  "/a/x/../y"};
    return root_ + kPaths[static_cast<size_t>(number) % kPaths.size()];
  }
  int Fd(int number) const { return fds_.empty() ? -1 : fds_[static_cast<size_t>(number) % fds_.size()]; }
  static std::string Told(ssize_t result) {
    return result >= 0 ? " = " + std::to_string(result) + " "
                       : " fails: " + std::string(::strerrorname_np(errno)) + " ";
  }

  SystemCalls& calls_;
  std::string root_;
  std::vector<int> fds_;
};

TEST(KernelComparison, TheSimulatedDiskAnswersAsTheKernelOnTmpfs) {
  // tmpfs has the fewest peculiarities; elsewhere the temporary directory's file system has to do.
  const std::string shared = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path();
  uint64_t n_steps = 0, n_good = 0;
  EXPECT_TRUE(rc::check([&] {
    std::string root = shared + "/gpumerge-disk-XXXXXX";
    RC_ASSERT(::mkdtemp(root.data()) != nullptr);
    const std::unique_ptr<std::string, void (*)(std::string*)> remove(
        &root, [](std::string* path) { std::filesystem::remove_all(*path); });
    SimulatedDisk disk("/disk");
    Player kernel(KernelCalls(), root), simulated(disk, "/disk");
    const auto steps = *rc::gen::resize(
        rc::kNominalSize, rc::gen::container<std::vector<Step>>(*rc::gen::inRange<size_t>(1, 1000), AnyStep()));
    for (const Step& step : steps) {
      std::string expected = kernel.Do(step);
      for (size_t at = expected.find(root); at != expected.npos; at = expected.find(root))
        expected.replace(at, root.size(), "/disk");
      ++n_steps;
      n_good += expected.find(" = ") != expected.npos ? 1u : 0u;
      RC_ASSERT(simulated.Do(step) == expected);
    }
    RC_ASSERT(simulated.All() == kernel.All());
  }));
  EXPECT_GT(n_good, n_steps / 6);  // not only errors are compared
}

}  // namespace
}  // namespace gpumerge::test
