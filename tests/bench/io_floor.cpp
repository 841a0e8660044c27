// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The I/O floor of a merge: how long it takes only to read the inputs and to write as many bytes as the output has,
// with pread and pwrite into one reused buffer a thread. No merge that reads and writes through the page cache can be
// faster with as many threads. Prints the seconds. Errors end the program with a message.
//   io_floor [--threads N] [--sync] --out FILE --out-bytes N INPUT...
#include "src/base/file.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace gpumerge {
namespace {

// Small enough to stay in the second-level cache, large enough to make system calls cheap.
constexpr uint64_t kPieceBytes = 512 << 10;
// How much is written before the next input bytes are read.
constexpr uint64_t kStepBytes = 1 << 20;

struct Arguments {
  uint32_t threads = 2;
  bool sync = false;
  std::string out;
  uint64_t out_bytes = 0;
  std::vector<std::string> inputs;
};

struct Input {
  std::string path;
  UniqueFd fd;
  uint64_t size_bytes = 0;
};

Error Usage(const std::string& message) { return Error({.code = ErrorCode::kUsage, .message = message}); }

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (!name.starts_with("--")) {
      arguments.inputs.push_back(name);
      continue;
    }
    if (name == "--sync") {
      arguments.sync = true;
      continue;
    }
    if (i + 1 == argc) throw Usage(name + " needs a value");
    const std::string value = argv[++i];
    if (name == "--threads")
      arguments.threads = static_cast<uint32_t>(std::stoul(value));
    else if (name == "--out")
      arguments.out = value;
    else if (name == "--out-bytes")
      arguments.out_bytes = std::stoull(value);
    else
      throw Usage("unknown option " + name);
  }
  if (arguments.threads == 0 || arguments.out.empty()) throw Usage("--threads (above 0) and --out FILE are needed");
  return arguments;
}

class Floor {
 public:
  explicit Floor(const Arguments& arguments) : arguments_(arguments) {
    uint64_t in_bytes = 0;
    for (const std::string& path : arguments.inputs) {
      UniqueFd fd = OpenRegular(path);
      const uint64_t size_bytes = RegularFileSize(fd.get(), path);
      in_bytes += size_bytes;
      inputs_.push_back({path, std::move(fd), size_bytes});
    }
    out_ = UniqueFd(open(arguments.out.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    if (!out_)
      throw Error({.code = ErrorCode::kOutIo, .message = "cannot create " + arguments.out + ": " + ErrnoText(errno)});
    n_steps_ = std::max(arguments.out_bytes, in_bytes / 4) / kStepBytes + 1;
  }

  void Run() {
    std::vector<std::thread> threads;
    for (uint32_t t = 1; t < arguments_.threads; ++t) threads.emplace_back([this] { Share(); });
    Share();
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    if (arguments_.sync && fdatasync(out_.get()) != 0)
      throw Error({.code = ErrorCode::kOutIo, .message = "cannot sync " + arguments_.out + ": " + ErrnoText(errno)});
    CloseWritten(std::move(out_), arguments_.out);
  }

 private:
  // Step s reads its share of every input and writes its share of the output, as a merge does.
  void Share() {
    try {
      const std::unique_ptr<std::byte[]> buffer(new std::byte[kPieceBytes]());
      for (uint64_t step = next_++; step < n_steps_; step = next_++) {
        for (const Input& input : inputs_)
          ForPieces(step, input.size_bytes, [&](uint64_t offset, uint64_t size) {
            ReadFully(input.fd.get(), offset, buffer.get(), size, input.path);
          });
        ForPieces(step, arguments_.out_bytes, [&](uint64_t offset, uint64_t size) {
          WriteFully(out_.get(), offset, buffer.get(), size, arguments_.out);
        });
      }
    } catch (...) {
      next_ = n_steps_;
      if (!failed_.exchange(true)) failure_ = std::current_exception();
    }
  }

  // Calls f(offset, size) for the pieces of this step's share of size_bytes.
  template <class Function>
  void ForPieces(uint64_t step, uint64_t size_bytes, const Function& f) const {
    const uint64_t share = (size_bytes + n_steps_ - 1) / n_steps_;
    const uint64_t end = std::min(size_bytes, (step + 1) * share);
    for (uint64_t offset = step * share; offset < end; offset += kPieceBytes)
      f(offset, std::min(kPieceBytes, end - offset));
  }

  const Arguments& arguments_;
  std::vector<Input> inputs_;
  UniqueFd out_;
  uint64_t n_steps_ = 0;
  std::atomic<uint64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;  // written by the thread that set failed_, read after all have ended
};

}  // namespace
}  // namespace gpumerge

int main(int argc, char** argv) {
  try {
    const gpumerge::Arguments arguments = gpumerge::Parse(argc, argv);
    const auto start = std::chrono::steady_clock::now();
    gpumerge::Floor(arguments).Run();
    fmt::print("{:.6f}\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    fmt::print(stderr, "io_floor: {}\n", error.what());
    return EXIT_FAILURE;
  }
}
