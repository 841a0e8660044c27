# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Layout of synthetic Llama models for the scripts: config.json, tensor names and shapes, shards, index."""
import json
import math
import os

import gm_safetensors

SIZES = {
    # hidden, intermediate, layers, heads, key-value heads, vocabulary
    "llama-70b": (8192, 28672, 80, 64, 8, 128256),
    "llama-8b": (4096, 14336, 32, 32, 8, 128256),
    "bench": (1024, 2816, 19, 16, 16, 32000),  # 0.31e9 parameters, 0.62 GB in bf16
    "bench-layers": (1024, 2816, 78, 16, 16, 4096),  # 1.01e9 parameters, nearly all in the layers
}


def config(size, n_layers):
    hidden, intermediate, _, heads, kv_heads, vocabulary = SIZES[size]
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
            "intermediate_size": intermediate, "num_hidden_layers": n_layers, "num_attention_heads": heads,
            "num_key_value_heads": kv_heads, "head_dim": hidden // heads, "vocab_size": vocabulary,
            "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "hidden_act": "silu",
            "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": False, "bos_token_id": 1,
            "eos_token_id": 2, "dtype": "bfloat16", "use_cache": True}


def tensors(size, n_layers):
    """[(name, dtype, shape)] in model order, all BF16."""
    hidden, intermediate, _, heads, kv_heads, vocabulary = SIZES[size]
    kv = hidden // heads * kv_heads
    layer = [("input_layernorm", (hidden,)), ("self_attn.q_proj", (hidden, hidden)), ("self_attn.k_proj", (kv, hidden)),
             ("self_attn.v_proj", (kv, hidden)), ("self_attn.o_proj", (hidden, hidden)),
             ("post_attention_layernorm", (hidden,)), ("mlp.gate_proj", (intermediate, hidden)),
             ("mlp.up_proj", (intermediate, hidden)), ("mlp.down_proj", (hidden, intermediate))]
    names = [("model.embed_tokens", (vocabulary, hidden))]
    names += [(f"model.layers.{i}.{name}", shape) for i in range(n_layers) for name, shape in layer]
    names += [("model.norm", (hidden,)), ("lm_head", (vocabulary, hidden))]
    return [(name + ".weight", "BF16", shape) for name, shape in names]


def n_bytes(tensor):
    return math.prod(tensor[2]) * gm_safetensors.DTYPE_BYTES[tensor[1]]


def cut(tensor_list, shard_bytes):
    """Shards of at most shard_bytes, whole tensors in order."""
    shards, size = [[]], 0
    for tensor in tensor_list:
        if shards[-1] and size + n_bytes(tensor) > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += n_bytes(tensor)
    return shards


def write_json(directory, name, value):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def write_model(directory, size, n_layers, shards, write_data):
    """Everything but tensor data, which write_data(file, shard) appends to each shard's header."""
    os.makedirs(directory)
    write_json(directory, "config.json", config(size, n_layers))
    file_names = ["model.safetensors"] if len(shards) == 1 else [
        f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    for file_name, shard in zip(file_names, shards):
        with open(os.path.join(directory, file_name), "wb") as file:
            file.write(gm_safetensors.make_header(shard, {"format": "pt"}))
            write_data(file, shard)
    if len(shards) > 1:
        write_json(directory, "model.safetensors.index.json", {
            "metadata": {"total_size": sum(n_bytes(tensor) for shard in shards for tensor in shard)},
            "weight_map": {tensor[0]: name for name, shard in zip(file_names, shards) for tensor in shard}})
