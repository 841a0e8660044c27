// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The header's reader and writer: what the messages say, limits, truncation anywhere, round trips, exact bytes.
#include "src/io/safetensors_header.h"

#include "src/io/strict_json.h"
#include "tests/support/errors.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstring>
#include <numeric>

namespace gpumerge {
namespace {

using namespace std::string_literals;
using test::CodeOf;
using test::FirstDiagnosticOf;
using test::TextOf;

SafetensorsHeader Parse(const std::string& json, uint64_t data_bytes) {
  return ParseSafetensorsHeader(json, 8 + json.size() + data_bytes, "model.safetensors");
}

std::string CodeOfParse(const std::string& json, uint64_t data_bytes = 0) {
  return CodeOf([&] { Parse(json, data_bytes); });
}

std::string LengthBytes(uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes;
}

TEST(SafetensorsReader, ReadsATable) {
  const SafetensorsHeader header =
      Parse(R"({"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},"__metadata__":{"format":"pt","é":"\n"},)"
            R"("a\u0062":{"data_offsets":[0,4],"shape":[],"dtype":"I32"}}  )",
            12);
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "ab");
  EXPECT_EQ(header.tensors[0].dtype, DType::kI32);
  EXPECT_TRUE(header.tensors[0].shape.empty());
  EXPECT_EQ(header.tensors[0].offset_bytes, 0u);
  EXPECT_EQ(header.tensors[0].size_bytes, 4u);
  EXPECT_EQ(header.tensors[1].name, "b");
  EXPECT_EQ(header.tensors[1].shape, (std::vector<uint64_t>{2, 1}));
  EXPECT_EQ(header.tensors[1].offset_bytes, 4u);
  EXPECT_EQ(header.tensors[1].size_bytes, 8u);
  const std::vector<std::pair<std::string, std::string>> metadata{{"format", "pt"}, {"é", "\n"}};
  EXPECT_EQ(header.metadata, metadata);
  EXPECT_EQ(header.data_begin_bytes, 8u + 158u);
}

TEST(SafetensorsReader, HoleNamesTensorAndBytes) {
  const Diagnostic d = FirstDiagnosticOf([] {
    Parse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
          R"("norm":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}})",
          20);
  });
  EXPECT_EQ(d.code, ErrorCode::kStHole);
  EXPECT_EQ(d.message, "tensor \"norm\": data_offsets leave bytes 8..16 of the data section unused");
  EXPECT_EQ(d.where, "model.safetensors");
  EXPECT_EQ(d.found, "begin=16");
  EXPECT_EQ(d.expected, "begin=8");
}

TEST(SafetensorsReader, DuplicateNamesBothPlaces) {
  const Diagnostic d = FirstDiagnosticOf([] {
    Parse(R"({"a\"b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}, "a\u0022b":{"dtype":"U8","shape":[0],)"
          R"("data_offsets":[0,0]}})",
          0);
  });
  EXPECT_EQ(d.code, ErrorCode::kStDuplicate);
  EXPECT_EQ(d.found, "at header bytes 1 and 57");
  EXPECT_EQ(d.where, "model.safetensors (header byte 57)");
}

TEST(SafetensorsReader, DuplicateFieldsAndMetadata) {
  EXPECT_EQ(CodeOfParse(R"({"a":{"shape":[],"dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1), "ST-DUP");
  EXPECT_EQ(CodeOfParse(R"({"a":{"shape":[],"dtype":"U8","sh\u0061pe":[],"data_offsets":[0,1]}})", 1), "ST-DUP");
  EXPECT_EQ(CodeOfParse(R"({"__metadata__":{},"__metadata__":{}})"), "ST-DUP");
  EXPECT_EQ(CodeOfParse(R"({"__metadata__":null,"__met\u0061data__":{}})"), "ST-DUP");
  EXPECT_EQ(CodeOfParse(R"({"__metadata__":{"k":"1","\u006b":"2"}})"), "ST-DUP");
}

TEST(SafetensorsReader, RefusesOddNumbers) {
  const auto with_dim = [](const std::string& dim) {
    return CodeOfParse(R"({"a":{"dtype":"U8","shape":[)" + dim + R"(],"data_offsets":[0,2]}})", 2);
  };
  EXPECT_EQ(with_dim("2"), "");
  for (const char* dim : {"-0", "-2", "2.0", "2e0", "1e400"}) EXPECT_NE(with_dim(dim), "") << dim;
  EXPECT_EQ(with_dim("-0"), "ST-FIELD");
  EXPECT_EQ(with_dim("2.0"), "ST-FIELD");
  EXPECT_EQ(with_dim("02"), "ST-JSON");
  EXPECT_EQ(with_dim("+2"), "ST-JSON");
  EXPECT_EQ(with_dim("0x2"), "ST-JSON");
  EXPECT_EQ(with_dim("18446744073709551616"), "ST-OVERFLOW");
  EXPECT_EQ(with_dim("18446744073709551615,2"), "ST-OVERFLOW");
  EXPECT_EQ(with_dim("true"), "ST-FIELD");
  EXPECT_EQ(with_dim("[2]"), "ST-FIELD");
  EXPECT_EQ(with_dim("{}"), "ST-FIELD");
}

// As in the reference: the product is taken in the order of the shape.
TEST(SafetensorsReader, OverflowBeforeAZeroExtent) {
  const auto with_shape = [](const std::string& shape) {
    return CodeOfParse(R"({"a":{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[0,0]}})");
  };
  EXPECT_EQ(with_shape("4294967296,4294967296,0"), "ST-OVERFLOW");
  EXPECT_EQ(with_shape("0,4294967296,4294967296"), "");
  EXPECT_EQ(with_shape("0"), "");
}

TEST(SafetensorsReader, OffsetsUpToTheLastByteOf64Bits) {
  // 2^61 - 1 bytes is the largest size whose bits fit; the file is shorter.
  const Diagnostic d = FirstDiagnosticOf(
      [] { Parse(R"({"a":{"dtype":"U8","shape":[2305843009213693951],"data_offsets":[0,2305843009213693951]}})", 4); });
  EXPECT_EQ(d.code, ErrorCode::kStTruncated);
  EXPECT_NE(d.message.find("2305843009213693947 bytes"), std::string::npos) << d.message;
  EXPECT_EQ(
      CodeOfParse(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[18446744073709551615,18446744073709551615]}})"),
      "ST-HOLE");
}

TEST(SafetensorsReader, TruncatedAndTrailingSayHowMuch) {
  const std::string json = R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})";
  EXPECT_EQ(FirstDiagnosticOf([&] { Parse(json, 13); }).message,
            "the file is shorter than its header says: 3 bytes of tensor data are missing");
  EXPECT_EQ(FirstDiagnosticOf([&] { Parse(json, 21); }).message, "the file goes on for 5 bytes after its last tensor");
  EXPECT_EQ(CodeOf([&] { ParseSafetensorsHeader(json, 10, "x"); }), "ST-TRUNCATED");
}

TEST(SafetensorsReader, KeepsItsLimits) {
  const auto rank = [](size_t n) {
    std::string shape = "1";
    for (size_t i = 1; i < n; ++i) shape += ",1";
    return CodeOfParse(R"({"a":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,1]}})", 1);
  };
  EXPECT_EQ(rank(32), "");
  EXPECT_EQ(rank(33), "ST-LIMIT");
  const auto name = [](size_t n) {
    return CodeOfParse("{\"" + std::string(n, 'n') + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1);
  };
  EXPECT_EQ(name(65536), "");
  EXPECT_EQ(name(65537), "ST-LIMIT");
  EXPECT_EQ(CodeOfParse(R"({"__metadata__":{"k":")" + std::string(17 << 20, 'v') + "\"}}"), "ST-LIMIT");
  EXPECT_EQ(CodeOfParse(R"({"__metadata__":{"k":")" + std::string(15 << 20, 'v') + "\"}}"), "");
  EXPECT_EQ(CodeOfParse("{\"" + std::string(20 << 20, '\\')), "ST-LIMIT");
  const auto metadata = [](size_t n_entries, size_t value_bytes) {
    std::string json = "{\"__metadata__\":{\"0\":\"\"";
    for (size_t i = 1; i < n_entries; ++i)
      json += ",\"" + std::to_string(i) + "\":\"" + std::string(value_bytes, 'v') + "\"";
    return CodeOfParse(json + "}}");
  };
  EXPECT_EQ(metadata(100'000, 1), "");
  EXPECT_EQ(metadata(100'001, 1), "ST-LIMIT");
  EXPECT_EQ(metadata(20, size_t{1} << 20), "ST-LIMIT");
}

TEST(SafetensorsReader, LongNamesAreShortenedInMessages) {
  const Diagnostic d = FirstDiagnosticOf([] { Parse("{\"" + std::string(60000, 'n') + "\":{}}", 0); });
  EXPECT_EQ(d.code, ErrorCode::kStField);
  EXPECT_LT(d.message.size(), 400u);
}

TEST(SafetensorsReader, EmptyTensorsKeepTheHeadersOrder) {
  const SafetensorsHeader header = Parse(
      R"({"z":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"y":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
      R"("x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
      1);
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.tensors[0].name, "y");
  EXPECT_EQ(header.tensors[1].name, "x");
  EXPECT_EQ(header.tensors[2].name, "z");
}

TEST(HeaderLength, IsCheckedAgainstLimitAndFile) {
  const auto parse = [](uint64_t length, uint64_t file_size) {
    return CodeOf([&] { ParseHeaderLength(LengthBytes(length), file_size, "f"); });
  };
  EXPECT_EQ(ParseHeaderLength(LengthBytes(2), 10, "f"), 2u);
  EXPECT_EQ(ParseHeaderLength(LengthBytes(100'000'000), 100'000'008, "f"), 100'000'000u);
  EXPECT_EQ(parse(100'000'001, UINT64_MAX), "ST-HDRLEN");
  EXPECT_EQ(parse(0, 8), "ST-HDRLEN");
  EXPECT_EQ(parse(1, 9), "ST-HDRLEN");
  EXPECT_EQ(parse(UINT64_MAX, UINT64_MAX), "ST-HDRLEN");
  EXPECT_EQ(parse(3, 10), "ST-TRUNCATED");
  EXPECT_EQ(CodeOf([] { ParseHeaderLength("1234567", 7, "f"); }), "ST-TRUNCATED");
}

TEST(HeaderLength, RecognisesWhatIsNoSafetensors) {
  const auto help = [](std::string_view first_bytes) {
    return FirstDiagnosticOf([&] { ParseHeaderLength(first_bytes, 1000, "f"); }).help;
  };
  EXPECT_NE(help("version ").find("git lfs pull"), std::string::npos);
  EXPECT_NE(help("<!DOCTYP").find("web page"), std::string::npos);
  EXPECT_NE(help("GGUF\3\0\0\0"s).find("GGUF"), std::string::npos);
}

TEST(HeaderLength, AnyValueEndsInAnAnswer) {
  EXPECT_TRUE(rc::check([](uint64_t length, uint64_t file_size) {
    const std::string code = CodeOf([&] { ParseHeaderLength(LengthBytes(length), file_size, "f"); });
    const bool is_possible = length >= 2 && length <= 100'000'000 && file_size >= 8 && length <= file_size - 8;
    RC_ASSERT(code.empty() == is_possible);
  }));
}

// A good header, cut anywhere, with the file ending there or padded to its old size.
TEST(SafetensorsReader, TruncationAtEveryOffsetIsRefused) {
  const std::string header = MakeSafetensorsHeader(
      {{"model.a", DType::kF32, {2, 2}, 0, 16}, {"model.b\n", DType::kBF16, {3}, 0, 6}}, {{"format", "pt"}});
  const uint64_t file_size = header.size() + 22;
  const auto open = [&](uint64_t size) {
    const uint64_t n = std::min<uint64_t>(size, header.size());
    const uint64_t length = ParseHeaderLength(std::string_view(header).substr(0, std::min<uint64_t>(n, 8)), size, "f");
    ParseSafetensorsHeader(std::string_view(header).substr(8, length), size, "f");
  };
  EXPECT_EQ(CodeOf([&] { open(file_size); }), "");
  for (uint64_t size = 0; size < file_size; ++size) EXPECT_EQ(CodeOf([&] { open(size); }), "ST-TRUNCATED") << size;
  for (uint64_t size = file_size + 1; size < file_size + 9; ++size)
    EXPECT_EQ(CodeOf([&] { open(size); }), "ST-TRAILING") << size;
  // The JSON alone cut short (a wrong length field): never accepted.
  for (size_t n = 0; n < header.find_last_of('}') - 8; ++n)
    EXPECT_EQ(CodeOf([&] { ParseSafetensorsHeader(std::string_view(header).substr(8, n), 8 + n + 22, "f"); }),
              "ST-JSON")
        << n;
}

// Flipping any byte of a header never crashes; what is still accepted has the same size.
TEST(SafetensorsReader, AnyByteMayBeDamaged) {
  const std::string good =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})";
  EXPECT_TRUE(rc::check([&](size_t at, char byte) {
    std::string json = good;
    json[at % json.size()] = byte;
    SafetensorsHeader header;
    const std::string code = CodeOf([&] { header = Parse(json, 16); });
    if (!code.empty()) return;
    uint64_t end = 0;
    for (const HeaderTensor& tensor : header.tensors) end = tensor.offset_bytes + tensor.size_bytes;
    RC_ASSERT(end == 16u);
  }));
}

// The literals are what safetensors 0.8.0 (Python) wrote for the same tables.
TEST(SafetensorsWriter, WritesTheReferenceWritersBytes) {
  EXPECT_EQ(MakeSafetensorsHeader({{"attn.0", DType::kF32, {1, 2, 3}, 0, 24}, {"b", DType::kF16, {}, 99, 2}},
                                  {{"format", "pt"}}),
            "\x98\0\0\0\0\0\0\0"s
            R"({"__metadata__":{"format":"pt"},"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]},)"
            R"("b":{"dtype":"F16","shape":[],"data_offsets":[24,26]}}   )");
  EXPECT_EQ(MakeSafetensorsHeader({{"model.layers.2.w", DType::kF64, {1}, 0, 8},
                                   {"model.layers.10.w", DType::kF32, {4, 2}, 0, 32},
                                   {"lm_head", DType::kF16, {2, 2}, 0, 8},
                                   {"i", DType::kI8, {3}, 0, 3}},
                                  {{"format", "pt"}}),
            "(\x01\0\0\0\0\0\0"s
            R"({"__metadata__":{"format":"pt"},"model.layers.2.w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
            R"("model.layers.10.w":{"dtype":"F32","shape":[4,2],"data_offsets":[8,40]},)"
            R"("lm_head":{"dtype":"F16","shape":[2,2],"data_offsets":[40,48]},)"
            R"("i":{"dtype":"I8","shape":[3],"data_offsets":[48,51]}}       )");
  EXPECT_EQ(MakeSafetensorsHeader({{"a\n\x1b\x7fé/\\\"\u2028\b\f\0"s, DType::kF32, {0}, 0, 0}}, {}),
            "X\0\0\0\0\0\0\0"s
            "{\"a\\n\\u001b\x7fé/\\\\\\\"\u2028\\b\\f\\u0000\":"
            R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]}}     )");
}

TEST(SafetensorsWriter, WritesAnEmptyFile) { EXPECT_EQ(MakeSafetensorsHeader({}, {}), "\x08\0\0\0\0\0\0\0{}      "s); }

TEST(SafetensorsWriter, EscapesAsSerdeDoes) {
  EXPECT_EQ(QuoteHeaderString("a\"b\\c/d"), R"("a\"b\\c/d")");
  EXPECT_EQ(QuoteHeaderString("\b\f\n\r\t\x01\x1b\x1f\x7f"), "\"\\b\\f\\n\\r\\t\\u0001\\u001b\\u001f\x7f\"");
  EXPECT_EQ(QuoteHeaderString("\0"s), R"("\u0000")");
  EXPECT_EQ(QuoteHeaderString("é漢😀\u2028"), "\"é漢😀\u2028\"");
  EXPECT_EQ(CodeOf([] { QuoteHeaderString("\xff"); }), "ST-NAME");
}

TEST(SafetensorsWriter, RefusesNamesThatNobodyCanRead) {
  EXPECT_EQ(CodeOf([] { MakeSafetensorsHeader({{"", DType::kU8, {1}, 0, 1}}, {}); }), "ST-NAME");
  EXPECT_EQ(CodeOf([] { MakeSafetensorsHeader({{"__metadata__", DType::kU8, {1}, 0, 1}}, {}); }), "ST-NAME");
  EXPECT_EQ(CodeOf([] {
              MakeSafetensorsHeader({{"a", DType::kU8, {1}, 0, UINT64_MAX}, {"b", DType::kU8, {1}, 0, 1}}, {});
            }),
            "ST-OVERFLOW");
}

// Random tables survive writing and reading, whatever the names hold.
TEST(SafetensorsRoundTrip, RandomTables) {
  EXPECT_TRUE(rc::check([](const std::vector<std::pair<std::string, uint32_t>>& names_and_shapes) {
    std::vector<HeaderTensor> tensors;
    for (const auto& [raw_name, bits] : names_and_shapes) {
      HeaderTensor tensor;
      // Unique, and valid UTF-8 with controls and multi-byte characters: bytes above 127 become two-byte characters.
      for (const char c : raw_name) {
        const auto u = static_cast<unsigned char>(c);
        if (u < 0x80)
          tensor.name += c;
        else
          tensor.name.append({static_cast<char>(0xc0 | (u >> 6)), static_cast<char>(0x80 | (u & 0x3f))});
      }
      tensor.name += "#" + std::to_string(tensors.size());
      tensor.dtype = kDTypes[bits % kDTypes.size()].dtype;
      for (uint32_t i = 0; i < bits / 32 % 5; ++i) tensor.shape.push_back((bits >> (8 + 3 * i)) % 8);
      if (Info(tensor.dtype).bits < 8) tensor.shape.push_back(4);  // a whole number of bytes
      const uint64_t n = std::accumulate(tensor.shape.begin(), tensor.shape.end(), uint64_t{1}, std::multiplies<>());
      tensor.size_bytes = n * Info(tensor.dtype).bits / 8;
      tensors.push_back(tensor);
    }
    const std::string bytes = MakeSafetensorsHeader(tensors, {{"format", "pt"}});
    RC_ASSERT(bytes.size() % 8 == 0u);
    uint64_t data_bytes = 0;
    for (const HeaderTensor& tensor : tensors) data_bytes += tensor.size_bytes;
    const uint64_t file_size = bytes.size() + data_bytes;
    RC_ASSERT(ParseHeaderLength(std::string_view(bytes).substr(0, 8), file_size, "f") == bytes.size() - 8);
    const SafetensorsHeader read = ParseSafetensorsHeader(std::string_view(bytes).substr(8), file_size, "f");
    RC_ASSERT(read.data_begin_bytes == bytes.size());
    RC_ASSERT(read.tensors.size() == tensors.size());
    // Empty tensors sort before what begins at the same place, so compare by name.
    for (const HeaderTensor& tensor : read.tensors) {
      const HeaderTensor& written = tensors[std::stoul(tensor.name.substr(tensor.name.rfind('#') + 1))];
      RC_ASSERT(tensor.name == written.name);
      RC_ASSERT(tensor.dtype == written.dtype);
      RC_ASSERT(tensor.shape == written.shape);
      RC_ASSERT(tensor.size_bytes == written.size_bytes);
    }
    if (!tensors.empty()) RC_ASSERT(MakeSafetensorsHeader(read.tensors, read.metadata).size() == bytes.size());
  }));
}

}  // namespace
}  // namespace gpumerge
