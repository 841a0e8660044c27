// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The table of mergekit's flags. mergekit-yaml, -multi and -pytorch share most of them.
#include "src/cli/peer_flags.h"

#include <array>

namespace gpumerge::cli {
namespace {

struct PeerFlag {
  std::string_view name;  // without the dashes
  std::string_view advice;
};

constexpr std::string_view kDevice =
    "use --device cuda for GPUs, --device cpu for none, or leave it out: auto takes every GPU that works here";
constexpr std::string_view kStreams =
    "leave it out: tensors are streamed within a fixed budget; --memory SIZE (e.g. 4G) sets it";
constexpr std::string_view kOverlaps = "leave it out: reading, computing and writing always overlap";
constexpr std::string_view kThreads = "use --threads N";
constexpr std::string_view kLora =
    "LoRA adapters are not supported; bake the adapter into its model first and name that in the recipe";
constexpr std::string_view kStages =
    "leave it out: the stages of a recipe need no directory; --keep-stages DIR writes them to DIR/NAME all the same";
constexpr std::string_view kSafetensorsOnly =
    "leave it out: only safetensors files are read; convert a .bin checkpoint first";

constexpr auto kPeerFlags = std::to_array<PeerFlag>({
    {"allow-crimes",
     "leave it out: there is no list of architectures; models merge when their tensors have equal names and shapes"},
    {"unsafe-truncate-embeddings",
     "embeddings are never truncated; make the vocabularies equal first, the error says which tokens differ"},
    {"trust-remote-code", "leave it out: code that comes with a model is never run"},
    {"transformers-cache", "use --cache-dir DIR, a Hugging Face hub cache (the folder with models--org--name in it)"},
    {"lora-merge-cache", kLora},
    {"lora-merge-dtype", kLora},
    {"random-seed", "use --seed N, or `seed: N` in the recipe; the default is 0, never the time"},
    {"cuda", kDevice},
    {"gpu-rich", kDevice},
    {"multi-gpu", kDevice},
    {"read-to-gpu", "leave it out: with a GPU, inputs always go there; --vram SIZE bounds what they take"},
    {"low-cpu-memory", kStreams},
    {"lazy-unpickle", kSafetensorsOnly},
    {"lazy-loader", kSafetensorsOnly},
    {"j", kThreads},
    {"num-threads", kThreads},
    {"async-write", kOverlaps},
    {"write-threads", kOverlaps},
    {"out-shard-size", "use --shard-size SIZE, in bytes: 5G is what mergekit writes 5B"},
    {"copy-tokenizer",
     "leave it out: tokenizer files are always copied from the base model, else the first one listed; "
     "`tokenizer_source:` in the recipe chooses another"},
    {"clone-tensors", "leave it out: a layer that is used twice is always written twice"},
    {"safe-serialization", "leave it out: the output is always safetensors"},
    {"write-model-card", "leave it out: the model card and the recipe are always written"},
    {"out-path", "use --out DIR"},
    {"intermediate-dir", kStages},
    {"I", kStages},
    {"lazy", "leave it out: stages are merged as the output needs them, and nothing of them is written"},
    {"cuda-device", "use --device cuda:N; `gpumerge devices` lists the numbers"},
});

// "--no-cuda=1" -> "cuda", "-j8" -> "j".
std::string_view NameOf(std::string_view argument) {
  if (!argument.starts_with("--")) return argument.size() < 2 ? std::string_view() : argument.substr(1, 1);
  argument.remove_prefix(2);
  if (argument.starts_with("no-")) argument.remove_prefix(3);
  return argument.substr(0, argument.find('='));
}

}  // namespace

std::string_view PeerFlagAdvice(std::string_view argument) {
  const std::string_view name = NameOf(argument);
  for (const PeerFlag& flag : kPeerFlags)
    if (flag.name == name) return flag.advice;
  return {};
}

}  // namespace gpumerge::cli
