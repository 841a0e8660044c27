// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// To be preloaded: the n-th allocation of the program fails, n being GM_FAIL_ALLOCATION, counted from the beginning of
// main over all threads. At the end the number of allocations is written to the file GM_COUNT_ALLOCATIONS. Everything
// that takes memory from the C library is meant, operator new included.
//
// Also, each by an environment variable: GM_FAIL_CALL=NAME:N (the N-th pread or fdatasync of the program and all later
// ones fail with EIO), GM_CHANGE=N:PATH and GM_CUT=N:PATH (at the N-th pread that file gets another time, or loses its
// last byte), GM_FLUSH_DENORMALS (as a library does that was built with -ffast-math), GM_BUG (a hash throws),
// GM_DIE=N (killed at the N-th fdatasync).
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
}

namespace {

using Main = int (*)(int, char**, char**);

std::atomic<long> n_calls{-1};  // below 0: not counting
long fails_at = 0;
Main real_main = nullptr;

bool Fails() {
  if (n_calls.load(std::memory_order_relaxed) < 0 || n_calls.fetch_add(1) + 1 != fails_at) return false;
  errno = ENOMEM;
  return true;
}

void WriteCount() {
  const long count = n_calls.exchange(-1);
  const char* path = std::getenv("GM_COUNT_ALLOCATIONS");
  const int fd = path == nullptr ? -1 : ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return;
  const std::string text = std::to_string(count) + "\n";
  if (::write(fd, text.data(), text.size()) < 0) std::abort();
  ::close(fd);
}

std::atomic<long> preads = 0, syncs = 0;

// Whether this call of that name is to fail.
bool IsToFail(const char* name, long number) {
  const char* spec = std::getenv("GM_FAIL_CALL");
  if (spec == nullptr) return false;
  const std::string text = spec;
  const size_t colon = text.find(':');
  if (text.substr(0, colon) != name || number < std::atol(text.c_str() + colon + 1)) return false;
  errno = EIO;
  return true;
}

// Does to a file what GM_CHANGE or GM_CUT say, when it is time.
void Meddle(long number) {
  for (const char* name : {"GM_CHANGE", "GM_CUT"}) {
    const char* spec = std::getenv(name);
    if (spec == nullptr || std::atol(spec) != number) continue;
    const std::string path = std::string(spec).substr(std::string(spec).find(':') + 1);
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) std::abort();
    const bool cut = std::string(name) == "GM_CUT";
    if (cut && ::truncate(path.c_str(), status.st_size - 1) != 0) std::abort();
    const timespec times[2] = {{1, 0}, {1, 0}};
    if (!cut && ::utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) std::abort();
  }
}

int CountingMain(int argc, char** argv, char** environment) {
  const char* number = std::getenv("GM_FAIL_ALLOCATION");
  fails_at = number == nullptr ? 0 : std::atol(number);
  std::atexit(WriteCount);
#ifdef __SSE__
  if (std::getenv("GM_FLUSH_DENORMALS") != nullptr) _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
  n_calls = 0;
  return real_main(argc, argv, environment);
}

}  // namespace

extern "C" {

void* malloc(size_t size) { return Fails() ? nullptr : __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return Fails() ? nullptr : __libc_calloc(count, size); }
void* realloc(void* old, size_t size) { return Fails() ? nullptr : __libc_realloc(old, size); }
void* memalign(size_t alignment, size_t size) { return Fails() ? nullptr : __libc_memalign(alignment, size); }
void* aligned_alloc(size_t alignment, size_t size) { return Fails() ? nullptr : __libc_memalign(alignment, size); }
int posix_memalign(void** memory, size_t alignment, size_t size) {
  if (Fails()) return ENOMEM;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}

ssize_t pread64(int fd, void* data, size_t size, off64_t offset) {
  const long number = ++preads;
  if (IsToFail("pread", number)) return -1;
  Meddle(number);
  return ::syscall(SYS_pread64, fd, data, size, offset);
}
ssize_t pread(int fd, void* data, size_t size, off_t offset) { return pread64(fd, data, size, offset); }
int fdatasync(int fd) {
  const long number = ++syncs;
  const char* last = std::getenv("GM_DIE");
  if (last != nullptr && number == std::atol(last)) ::raise(SIGKILL);
  if (IsToFail("fdatasync", number)) return -1;
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

unsigned long XXH64(const void* data, size_t size, unsigned long seed) {
  if (std::getenv("GM_BUG") != nullptr) throw std::logic_error("as if by a bug");
  using Function = unsigned long (*)(const void*, size_t, unsigned long);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "XXH64"));
  return real(data, size, seed);
}

int __libc_start_main(Main main, int argc, char** argv, void (*init)(), void (*fini)(), void (*rtld_fini)(),
                      void* stack_end) {
  using Start = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
  real_main = main;
  const auto start = reinterpret_cast<Start>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  return start(CountingMain, argc, argv, init, fini, rtld_fini, stack_end);
}
}
