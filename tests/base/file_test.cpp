// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whole reads and writes, and what they say when they fail.
#include "src/base/file.h"

#include "gpumerge/error.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace gpumerge {
namespace {

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gpumerge-file-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~FileTest() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  std::string Make(const std::string& name, const std::string& contents) const {
    std::ofstream(Path(name), std::ios::binary) << contents;
    return Path(name);
  }

  std::string directory_;
};

template <class Action>
Diagnostic ErrorOf(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.diagnostics().front();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

TEST_F(FileTest, UniqueFdClosesOnce) {
  int raw = -1;
  {
    UniqueFd a(::open("/dev/null", O_RDONLY));
    raw = a.get();
    UniqueFd b = std::move(a);
    EXPECT_FALSE(a);
    EXPECT_EQ(b.get(), raw);
    b = std::move(b);
    EXPECT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
  UniqueFd c(::open("/dev/null", O_RDONLY));
  raw = c.Release();
  EXPECT_FALSE(c);
  EXPECT_TRUE(IsOpen(raw));
  c.Reset(raw);
  c.Reset();
  EXPECT_FALSE(IsOpen(raw));
}

TEST_F(FileTest, ReadsExactly) {
  const UniqueFd fd = OpenRegular(Make("a", "0123456789"));
  std::string text(4, '\0');
  ReadFully(fd.get(), 3, text.data(), 4, Path("a"));
  EXPECT_EQ(text, "3456");
  ReadFully(fd.get(), 10, text.data(), 0, Path("a"));
  EXPECT_EQ(RegularFileSize(fd.get(), Path("a")), 10u);
}

TEST_F(FileTest, ShortReadIsTruncation) {
  const UniqueFd fd = OpenRegular(Make("a", "0123456789"));
  std::string text(4, '\0');
  const Diagnostic d = ErrorOf([&] { ReadFully(fd.get(), 8, text.data(), 4, Path("a")); });
  EXPECT_EQ(d.code, ErrorCode::kInTruncated);
  EXPECT_EQ(d.where, Path("a"));
  EXPECT_EQ(d.found, "10 bytes");
  EXPECT_EQ(d.expected, "at least 12 bytes");
}

TEST_F(FileTest, ReadErrorNamesOffsetAndErrno) {
  const UniqueFd directory(::open(directory_.c_str(), O_RDONLY));
  char byte = 0;
  const Diagnostic d = ErrorOf([&] { ReadFully(directory.get(), 7, &byte, 1, "some/path"); });
  EXPECT_EQ(d.code, ErrorCode::kInIo);
  EXPECT_NE(d.message.find("byte 7"), std::string::npos) << d.message;
  EXPECT_NE(d.message.find("EISDIR"), std::string::npos) << d.message;
  EXPECT_EQ(d.where, "some/path");
}

TEST_F(FileTest, WritesExactlyAtTheOffset) {
  UniqueFd fd(::open(Path("out").c_str(), O_RDWR | O_CREAT, 0600));
  WriteFully(fd.get(), 3, "abc", 3, Path("out"));
  WriteFully(fd.get(), 0, "xyz", 3, Path("out"));
  CloseWritten(std::move(fd), Path("out"));
  EXPECT_EQ(ReadSmallFile(Path("out"), 100), "xyzabc");
}

TEST_F(FileTest, FullDeviceIsAnOutputError) {
  const UniqueFd fd(::open("/dev/full", O_WRONLY));
  ASSERT_TRUE(fd);
  const Diagnostic d = ErrorOf([&] { WriteFully(fd.get(), 0, "abc", 3, "/dev/full"); });
  EXPECT_EQ(d.code, ErrorCode::kOutIo);
  EXPECT_NE(d.message.find("ENOSPC"), std::string::npos) << d.message;
  EXPECT_NE(d.help, "");
}

TEST_F(FileTest, ShortWriteGoesOnAndThenReportsTheLimit) {
  // The kernel writes up to the limit, a short write, and fails the rest with EFBIG.
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const rlimit limit{1000, old_limit.rlim_max};
  UniqueFd fd(::open(Path("out").c_str(), O_RDWR | O_CREAT, 0600));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const std::string data(2000, 'x');
  const Diagnostic d = ErrorOf([&] { WriteFully(fd.get(), 0, data.data(), data.size(), Path("out")); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(d.code, ErrorCode::kOutIo);
  EXPECT_NE(d.message.find("byte 1000"), std::string::npos) << d.message;
  EXPECT_NE(d.message.find("EFBIG"), std::string::npos) << d.message;
}

TEST_F(FileTest, OpensOnlyRegularFiles) {
  EXPECT_EQ(ErrorOf([&] { OpenRegular(Path("none")); }).code, ErrorCode::kInMissing);
  EXPECT_EQ(ErrorOf([&] { OpenRegular(Make("file", "x") + "/below"); }).code, ErrorCode::kInMissing);
  EXPECT_EQ(ErrorOf([&] { OpenRegular(directory_); }).found, "a directory");
  ASSERT_EQ(::mkfifo(Path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(ErrorOf([&] { OpenRegular(Path("fifo")); }).found, "a FIFO");
  EXPECT_EQ(ErrorOf([&] { OpenRegular("/dev/zero"); }).found, "a character device");
  std::filesystem::create_symlink("/dev/zero", Path("link"));
  EXPECT_EQ(ErrorOf([&] { OpenRegular(Path("link")); }).code, ErrorCode::kInNotRegular);
}

TEST_F(FileTest, ASocketIsNotRegular) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  Path("s").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(ErrorOf([&] { OpenRegular(Path("s")); }).code, ErrorCode::kInNotRegular);
}

TEST_F(FileTest, ReadSmallFileKeepsItsLimit) {
  EXPECT_EQ(ReadSmallFile(Make("a", ""), 0), "");
  EXPECT_EQ(ReadSmallFile(Make("b", "abc"), 3), "abc");
  const Diagnostic d = ErrorOf([&] { ReadSmallFile(Make("c", "abcd"), 3); });
  EXPECT_EQ(d.code, ErrorCode::kResLimit);
  EXPECT_EQ(d.found, "4 bytes");
  EXPECT_EQ(d.expected, "at most 3 bytes");
}

TEST(ErrnoText, HasTextAndName) {
  EXPECT_EQ(ErrnoText(ENOENT), "No such file or directory (ENOENT)");
  EXPECT_NE(ErrnoText(123456).find("123456"), std::string::npos);
}

}  // namespace
}  // namespace gpumerge
