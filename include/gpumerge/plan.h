// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A Plan says everything that a merge will do, decided from headers alone before a byte of tensor data is read. Plain
// data: printable (ExplainPlan), hashable (PlanHash) and cuttable into disjoint parts that give the same bytes
// (CutPlan).
#pragma once

#include "gpumerge/config.h"
#include "gpumerge/error.h"
#include "gpumerge/file_identity.h"
#include "gpumerge/job.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge {

// A file that tensor data is read from.
struct PlanFile {
  std::string path;       // absolute
  uint32_t model = 0;     // index in Plan::models
  FileIdentity identity;  // when the header was read; checked again before the output is published
};

struct PlanModel {
  std::string reference;  // as written in the recipe
  std::string directory;  // absolute: where it was found
  std::string name;       // last path component, or org/name for a hub model: what the output's report calls it
  bool is_hub = false;    // reference is org/name[@revision]
  std::string how;        // how it was found, one line for people
  // The result of a stage instead of files: index in Plan::stages. reference and name are then the stage's name.
  std::optional<uint32_t> stage{};
};

// A named document of a recipe of several, whose result other documents read. Nothing of it is written to the output.
struct PlanStage {
  std::string name;
  std::string method;
  uint64_t seed = 0;             // as in the recipe
  std::vector<uint32_t> models;  // indices in Plan::models, in order of appearance
};

struct PlanInput {
  uint32_t model = 0;         // index in Plan::models
  uint32_t file = 0;          // index in Plan::files; of no meaning where item is set
  std::string tensor;         // its name in that file
  uint64_t offset_bytes = 0;  // from the beginning of the file, or of the scratch file
  uint64_t size_bytes = 0;
  std::optional<uint64_t> item{};  // the input is what this earlier item of Plan::items makes
};

enum class PlanAction : uint8_t {
  kMerge,  // run the method
  kCopy,   // the bytes of the inputs, which must all be equal, unless may_differ
};

struct PlanItem {
  std::string name;  // output tensor
  PlanAction action = PlanAction::kMerge;
  std::string reason;                                   // why a kCopy is one; empty for kMerge
  OverflowPolicy overflow = OverflowPolicy::kError;     // of kMerge
  NonFinitePolicy nonfinite = NonFinitePolicy::kError;  // of kMerge
  bool may_differ = false;        // of kCopy: the first input's bytes are taken, and differences from them reported
  std::string remark;             // what was done because some models lack the tensor; empty: all have it
  MergeJob job;                   // for kCopy: inputs, out_dtype, shape and n_elems only
  std::vector<PlanInput> inputs;  // parallel to job.inputs
  std::optional<uint64_t> layer;  // output layer number
  // Index in Plan::stages: the item is a stage's, is read by later items and goes to the scratch file.
  std::optional<uint32_t> stage{};
  uint32_t shard = 0;         // index in Plan::shards, for the output's items
  uint64_t offset_bytes = 0;  // from the beginning of the shard file, or of the scratch file
  uint64_t size_bytes = 0;    // in the output
  PassList passes;            // empty for kCopy (one read)

  uint64_t InputBytes() const {
    uint64_t bytes = 0;
    for (const PlanInput& input : inputs) bytes += input.size_bytes;
    return bytes;
  }
};

struct PlanShard {
  std::string file_name;  // model.safetensors or model-00001-of-00002.safetensors
  std::string header;     // the 8 length bytes and the JSON, padded: what precedes the data
  uint64_t size_bytes = 0;
};

// A file of the output besides the shards, complete: config.json as edited, the model card, ...
struct PlanTextFile {
  std::string file_name;
  std::string contents;
};

// A file copied byte for byte from a model: tokenizer files, ...
struct PlanCopiedFile {
  std::string file_name;
  std::string source_path;
  FileIdentity identity;  // of source_path; checked when it is copied
};

// A tensor that the recipe's `extra: drop` or --ignore-unlisted leaves out.
struct PlanDropped {
  std::string tensor;
  uint32_t model = 0;  // index in Plan::models
};

struct Plan {
  std::string method;
  uint64_t seed = 0;
  std::vector<PlanModel> models;  // in order of appearance; the base last unless it is listed
  std::vector<PlanFile> files;
  // In output order: by shard, then by offset. A stage's items stand before the first item that reads them.
  std::vector<PlanItem> items;
  std::vector<PlanDropped> dropped;  // by document, model and name
  std::vector<PlanStage> stages;     // empty for a recipe of one document; in an order in which they could run
  std::vector<PlanShard> shards;
  std::vector<PlanTextFile> text_files;
  std::vector<PlanCopiedFile> copied_files;
  std::vector<std::string> read_files;  // absolute paths of what planning has read besides headers: config.json, ...
  uint32_t donor = 0;                   // index in models: whose config.json and tokenizer the output has
  std::optional<uint32_t> base;
  std::vector<Diagnostic> warnings;
  std::vector<std::string> notes;  // worth saying, nothing to worry about
  std::string output_dir;          // absolute
  std::string output_dir_why;      // "--out", "the recipe's output:" or "default"
};

struct PlanTotals {
  uint64_t n_tensors = 0, n_merged = 0, n_copied = 0;  // of the output
  uint64_t n_stage_tensors = 0;                        // besides those
  uint64_t n_params = 0;                               // elements of the output
  uint64_t input_bytes = 0;                            // every input tensor once, those between stages too
  uint64_t output_bytes = 0;                           // tensor data
  uint64_t disk_bytes = 0;                             // whole output directory
  uint64_t largest_group_bytes = 0;                    // inputs and output of the largest tensor
  uint64_t stage_bytes = 0;                            // of tensors between stages
};
PlanTotals Totals(const Plan& plan);

// Part `part` of `n_parts`: a contiguous run of items [first, last), balanced by bytes; items that read each other's
// results stay together. Parts of a plan can be run separately (by GPUs, ranks or after a stop) and write the same
// bytes as the whole.
struct PlanPart {
  uint64_t first = 0, last = 0;
};
std::vector<PlanPart> CutPlan(const Plan& plan, uint32_t n_parts);

// XXH3-128, in hex, of everything that decides output bytes; independent of paths and of the machine.
std::string PlanHash(const Plan& plan);

}  // namespace gpumerge
