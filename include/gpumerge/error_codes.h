// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The one table of error and warning codes: `gpumerge errors`, the README's table and the exit status all follow from
// it. A code and its exit status are stable once released; texts may change.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace gpumerge {

// name in C++, code shown to the user, exit status, meaning. Sorted by exit status, then by code.
#define GM_ERROR_CODES(X)                                                                                   \
  X(kInternal, "INTERNAL", 1, "a bug in gpumerge; nothing was published")                                   \
  X(kFloatMode, "NUM-FTZ", 1, "denormals are flushed or rounding is not to nearest")                        \
  X(kUsage, "USAGE", 2, "wrong command line")                                                               \
  X(kCfgChoice, "CFG-CHOICE", 3, "exactly one of several keys is needed")                                   \
  X(kCfgDuplicateModel, "CFG-MODEL-TWICE", 3, "a model is listed twice alike (a warning), or the base is")  \
  X(kCfgFilter, "CFG-FILTER", 3, "a filter is malformed, or matches no tensor (then a warning)")            \
  X(kCfgLayers, "CFG-LAYERS", 3, "a layer range or gradient does not fit the models' layers")               \
  X(kCfgMethod, "CFG-METHOD", 3, "unknown merge method")                                                    \
  X(kCfgMissing, "CFG-MISSING", 3, "a required key or parameter is missing")                                \
  X(kCfgNoEffect, "CFG-NOEFFECT", 3, "a key is accepted but changes nothing (a warning)")                   \
  X(kCfgParam, "CFG-PARAM", 3, "a parameter that the method does not take, or not at this level")           \
  X(kCfgRange, "CFG-RANGE", 3, "a value is out of range")                                                   \
  X(kCfgType, "CFG-TYPE", 3, "a value has the wrong type")                                                  \
  X(kCfgUnknown, "CFG-UNKNOWN", 3, "unknown key")                                                           \
  X(kCfgUnsupported, "CFG-UNSUPPORTED", 3, "a known mergekit key that gpumerge does not support yet")       \
  X(kNumZeroSum, "NUM-ZEROSUM", 3, "weights sum to zero and normalize is on")                               \
  X(kRefRevLocal, "REF-REV-LOCAL", 3, "a revision is given for a local directory")                          \
  X(kRefSyntax, "REF-SYNTAX", 3, "a model reference is malformed")                                          \
  X(kYamlAlias, "YAML-ALIAS", 3, "aliases expand to too many nodes or form a cycle")                        \
  X(kYamlAmbiguous, "YAML-AMBIG", 3, "a scalar that YAML readers understand differently")                   \
  X(kYamlDepth, "YAML-DEPTH", 3, "YAML nested too deeply")                                                  \
  X(kYamlDocs, "YAML-DOCS", 3, "no YAML document, or documents that do not fit together")                   \
  X(kYamlDuplicate, "YAML-DUP", 3, "a key is given twice")                                                  \
  X(kYamlMergeKey, "YAML-MERGE", 3, "the YAML merge key << is not supported")                               \
  X(kYamlSize, "YAML-SIZE", 3, "a recipe of more than 1 MiB or 100 000 values")                             \
  X(kYamlSyntax, "YAML-SYNTAX", 3, "not valid YAML")                                                        \
  X(kYamlTag, "YAML-TAG", 3, "a YAML tag that is not supported")                                            \
  X(kYamlUtf8, "YAML-UTF8", 3, "the recipe is not clean UTF-8 text")                                        \
  X(kConfigMissing, "CFG-NOFILE", 3, "the recipe cannot be read")                                           \
  X(kHubMiss, "HUB-MISS", 4, "a hub model or revision is not in the local cache")                           \
  X(kInIncomplete, "IN-INCOMPLETE", 4, "a model's files are incomplete")                                    \
  X(kInMissing, "IN-MISSING", 4, "a model does not exist")                                                  \
  X(kCfgDuplicateJson, "JSON-DUP", 5, "a JSON file has a key twice")                                        \
  X(kJsonSyntax, "JSON-SYNTAX", 5, "a JSON file is malformed")                                              \
  X(kInChanged, "IN-CHANGED", 5, "an input changed while it was read")                                      \
  X(kInHash, "IN-HASH", 5, "an input does not have the checksum that is known of it")                       \
  X(kInIo, "IN-EIO", 5, "an input cannot be read")                                                          \
  X(kInNotRegular, "IN-NOTREG", 5, "an input is not a regular file")                                        \
  X(kInPickle, "PKL-OFF", 5, "a pickle checkpoint (.bin, .pt); convert it to safetensors first")            \
  X(kInSymlink, "IN-SYMLINK", 5, "a symbolic link leaves the model's directory")                            \
  X(kInTruncated, "IN-TRUNCATED", 5, "an input became shorter while it was read")                           \
  X(kIndexAmbiguous, "IX-AMBIGUOUS", 5, "a single file and an index that disagree")                         \
  X(kIndexDuplicate, "IX-DUP", 5, "the index names a tensor twice")                                         \
  X(kIndexMalformed, "IX-FORMAT", 5, "the index is not of the expected form")                               \
  X(kIndexMissing, "IX-MISSING", 5, "an indexed tensor is not in its shard")                                \
  X(kIndexSize, "IX-SIZE", 5, "the index's total_size is wrong (a warning)")                                \
  X(kIndexTraversal, "IX-TRAVERSAL", 5, "the index points outside the model's directory")                   \
  X(kIndexTwice, "IX-TWICE", 5, "a tensor lies in two shards")                                              \
  X(kIndexUnlisted, "IX-UNLISTED", 5, "a shard holds a tensor that the index does not list")                \
  X(kStDType, "ST-DTYPE", 5, "unknown element type")                                                        \
  X(kStDuplicate, "ST-DUP", 5, "a safetensors header has a key twice")                                      \
  X(kStField, "ST-FIELD", 5, "a tensor entry has a missing, unknown or malformed field")                    \
  X(kStHeaderLength, "ST-HDRLEN", 5, "a safetensors header length is impossible")                           \
  X(kStHole, "ST-HOLE", 5, "a safetensors file has unused bytes between tensors")                           \
  X(kStJson, "ST-JSON", 5, "a safetensors header is not valid JSON")                                        \
  X(kStMetadata, "ST-META", 5, "__metadata__ is not a map of strings")                                      \
  X(kStName, "ST-NAME", 5, "a tensor name that cannot be used")                                             \
  X(kStOverflow, "ST-OVERFLOW", 5, "a tensor's size does not fit 64 bits")                                  \
  X(kStOverlap, "ST-OVERLAP", 5, "tensors overlap in a safetensors file")                                   \
  X(kStSize, "ST-SIZE", 5, "a tensor's shape, type and offsets disagree")                                   \
  X(kStTrailing, "ST-TRAILING", 5, "a safetensors file has bytes after the last tensor")                    \
  X(kStTruncated, "ST-TRUNCATED", 5, "a safetensors file is shorter than its header says")                  \
  X(kConfigLayerList, "CFG-LAYERLIST", 6, "config.json says of layers what the slices make untrue")         \
  X(kConfigField, "CFG-JSON", 6, "config.json lacks or contradicts what the merge needs")                   \
  X(kDtUnsupported, "DT-UNSUPPORTED", 6, "an element type that can be copied but not merged")               \
  X(kMmDTypeClass, "MM-DTYPECLASS", 6, "a tensor is floating in one model and integer in another")          \
  X(kMmExtra, "MM-EXTRA", 6, "tensors that only some models have")                                          \
  X(kMmHeadMissing, "MM-HEADMISSING", 6, "the output head is missing and not tied to the embedding")        \
  X(kMmIntDiffers, "MM-INTDIFF", 6, "an integer tensor differs between the models")                         \
  X(kMmMissing, "MM-MISSING", 6, "a tensor is missing in some models")                                      \
  X(kMmPromoted, "MM-PROMOTED", 6, "models store a tensor in different types (a warning)")                  \
  X(kMmF64, "MM-F64", 6, "float64 tensors are merged in float32 (a warning)")                               \
  X(kMmQuantised, "MM-QUANT", 6, "a quantised checkpoint")                                                  \
  X(kMmShape, "MM-SHAPE", 6, "a tensor's shape differs between the models")                                 \
  X(kMmTied, "MM-TIE", 6, "tied embeddings are stated inconsistently (a warning)")                          \
  X(kMmTokenizer, "MM-TOKENIZER", 6, "the models' tokenizers map tokens differently")                       \
  X(kMmVocab, "MM-VOCAB", 6, "the models' vocabularies have different sizes")                               \
  X(kMmBuffer, "MM-BUFFER", 6, "a buffer that is copied differs between the models (a warning)")            \
  X(kMmConfig, "MM-CONFIG", 6, "config.json files differ in what changes the forward pass (a warning)")     \
  X(kRemoteCode, "CFG-REMOTECODE", 6, "config.json asks for Python code files (a warning)")                 \
  X(kNumNonFiniteIn, "NUM-NAN-IN", 7, "an input tensor holds NaN or infinity")                              \
  X(kNumOverflow, "NUM-OVERFLOW", 7, "the merge overflowed the output type")                                \
  X(kNumRounding, "NUM-ROUNDING", 7, "rounding to the output type destroys much of the change (a warning)") \
  X(kNumSingular, "NUM-SINGULAR", 7, "a tensor's values are ones for which the method has no result")       \
  X(kOutFsync, "OUT-FSYNC", 8, "the disk failed to make the output durable")                                \
  X(kOutIo, "OUT-IO", 8, "the output cannot be written")                                                    \
  X(kOutSpace, "OUT-SPACE", 8, "not enough disk space for the output")                                      \
  X(kOutVerify, "OUT-VERIFY", 8, "the written output does not verify")                                      \
  X(kOutExists, "OUT-EXISTS", 9, "the output exists; --overwrite replaces it")                              \
  X(kOutInInput, "OUT-IN-INPUT", 9, "the output and an input directory overlap")                            \
  X(kOutLocked, "OUT-LOCKED", 9, "another run writes this output")                                          \
  X(kResMismatch, "RES-MISMATCH", 9, "an interrupted run's work is of another merge, or cannot be read")    \
  X(kDeviceUnavailable, "DEV-NONE", 10, "the device asked for cannot be used")                              \
  X(kDeviceBusy, "DEV-BUSY", 10, "the GPU is in use by another process exclusively, or prohibited")         \
  X(kDeviceDriver, "DEV-DRIVER", 10, "no NVIDIA driver, or one too old for this build")                     \
  X(kDeviceFailed, "DEV-FAILED", 10, "the GPU reported an error while it worked")                           \
  X(kDeviceMemory, "DEV-MEMORY", 10, "the GPU has too little free memory")                                  \
  X(kDeviceNotBuilt, "DEV-NOTBUILT", 10, "this gpumerge was built without CUDA")                            \
  X(kSelfcheck, "DEV-SELFCHECK", 10, "the device's result differs from the reference executor's")           \
  X(kResLimit, "ST-LIMIT", 10, "a header exceeds the limits for untrusted input")                           \
  X(kResMemory, "RES-MEM", 10, "the memory budget is too small")                                            \
  X(kCancelled, "CANCELLED", 130, "stopped by the user; nothing was published")

enum class ErrorCode : uint16_t {
#define GM_ENUM(name, code, exit, meaning) name,
  GM_ERROR_CODES(GM_ENUM)
#undef GM_ENUM
};

struct ErrorCodeInfo {
  ErrorCode id;
  std::string_view code;
  int exit_status;
  std::string_view meaning;
};

inline constexpr std::array kErrorCodes{
#define GM_ROW(name, code, exit, meaning) ErrorCodeInfo{ErrorCode::name, code, exit, meaning},
    GM_ERROR_CODES(GM_ROW)
#undef GM_ROW
};

constexpr const ErrorCodeInfo& Info(ErrorCode code) { return kErrorCodes[static_cast<size_t>(code)]; }

}  // namespace gpumerge
