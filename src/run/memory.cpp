// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/memory.h"

#include "gpumerge/merge.h"

#include <algorithm>
#include <charconv>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>

namespace gpumerge {
namespace {

constexpr uint64_t kDefaultBytes = 1'000'000'000;

// The value of a line "Name:   123 kB" of a /proc file, in bytes.
uint64_t ProcValue(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name)) return std::stoull(line.substr(name.size())) * 1024;
  return 0;
}

uint64_t NumberInFile(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  uint64_t value = 0;
  if (!(file >> text)) return ~uint64_t{0};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : ~uint64_t{0};  // "max" = no limit
}

// The least memory limit of this process's control groups, version 2 and 1; ~0 when there is none.
uint64_t CgroupLimitBytes() {
  uint64_t limit = ~uint64_t{0};
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t colon = line.find(':'), second = line.find(':', colon + 1);
    if (colon == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(colon + 1, second - colon - 1);
    const bool v2 = controllers.empty();
    if (!v2 && controllers.find("memory") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const std::string file = v2 ? "/memory.max" : "/memory.limit_in_bytes";
    std::string path = line.substr(second + 1);
    while (path.starts_with('/')) {  // this group and all above it
      limit = std::min(limit, NumberInFile(root + path + file));
      path.resize(path.rfind('/'));
    }
    limit = std::min(limit, NumberInFile(root + file));
  }
  return limit;
}

// Half of what `ulimit -v` leaves: threads' stacks and the allocator's reserves are address space as well.
uint64_t AddressSpaceBytes() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return ~uint64_t{0};
  return (limit.rlim_cur - std::min<uint64_t>(limit.rlim_cur, ProcValue("/proc/self/status", "VmSize:"))) / 2;
}

}  // namespace

uint64_t ResidentBytes(bool anonymous_only) {
  return ProcValue("/proc/self/status", anonymous_only ? "RssAnon:" : "VmRSS:");
}

// Not ru_maxrss of getrusage, which a process inherits from the one that started it. Asked for when the output is
// published: it allocates nothing, so that it cannot fail.
uint64_t PeakResidentBytes() {
  const int fd = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[8192];
  size_t size = 0;
  for (ssize_t n = 1; n > 0 && size < sizeof text; size += static_cast<size_t>(std::max<ssize_t>(n, 0)))
    n = ::read(fd, text + size, sizeof text - size);
  ::close(fd);
  constexpr std::string_view kName = "VmHWM:";
  const std::string_view status(text, size);
  size_t at = status.find(kName);
  if (at == std::string_view::npos) return 0;
  at = status.find_first_not_of(" \t", at + kName.size());
  uint64_t value = 0;
  if (at != std::string_view::npos) std::from_chars(text + at, text + size, value);
  return value * 1024;
}

uint64_t DefaultMemoryBytes(const Plan& plan) {
  const uint64_t available = ProcValue("/proc/meminfo", "MemAvailable:");
  return std::min(
      {available / 2, CgroupLimitBytes(), AddressSpaceBytes(), kDefaultBytes + Totals(plan).largest_group_bytes});
}

}  // namespace gpumerge
