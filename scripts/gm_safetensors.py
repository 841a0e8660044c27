# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""A small strict safetensors reader and writer for the scripts, independent of the C++ one.

Headers need the standard library only; tensor data needs numpy, which is imported when first used. bfloat16 and the fp8
types, which numpy lacks, are widened to float32 exactly and rounded from it to nearest even.
"""
import json
import math
import os
import struct
from collections import namedtuple

MAX_HEADER_BYTES = 100_000_000
# Bits of one element; sub-byte types are left out because no script needs them.
DTYPE_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
               "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8}
FLOAT_DTYPES = ("F8_E5M2", "F8_E4M3", "F16", "BF16", "F32", "F64")

# begin: of the data, in bytes from the start of the file.
TensorInfo = namedtuple("TensorInfo", "name dtype shape path begin n_bytes")


class FormatError(Exception):
    """The file is not a safetensors file or model directory that these scripts accept."""


def _no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise FormatError("a JSON object has a key twice")
    return dict(pairs)


def load_json(path):
    with open(path, "rb") as file:
        return json.loads(file.read().decode("utf-8"), object_pairs_hook=_no_duplicates)


def read_header(path):
    """Returns ({name: TensorInfo}, metadata) in file order; checks that the tensors tile the data section."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        prefix = file.read(8)
        if len(prefix) < 8:
            raise FormatError(f"{path}: shorter than 8 bytes")
        (length,) = struct.unpack("<Q", prefix)
        if length > min(MAX_HEADER_BYTES, size - 8):
            raise FormatError(f"{path}: header length {length} is impossible for a file of {size} bytes")
        try:
            header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_no_duplicates)
        except ValueError as error:
            raise FormatError(f"{path}: header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise FormatError(f"{path}: header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    tensors = {name: _tensor_info(path, name, entry, 8 + length) for name, entry in header.items()}
    end = 8 + length
    for info in sorted(tensors.values(), key=lambda t: (t.begin, t.n_bytes)):
        if info.begin != end:
            raise FormatError(f"{path}: {info.name} begins at byte {info.begin}, expected {end}")
        end += info.n_bytes
    if end != size:
        raise FormatError(f"{path}: {size} bytes, its header says {end}")
    return tensors, metadata


def _tensor_info(path, name, entry, data_begin):
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"{path}: {name} has not the fields of a tensor: {entry}")
    dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if dtype not in DTYPE_BYTES:
        raise FormatError(f"{path}: {name} has type {dtype}")
    if end - begin != math.prod(shape) * DTYPE_BYTES[dtype]:
        raise FormatError(f"{path}: {name} has {end - begin} bytes, not those of {dtype} {list(shape)}")
    return TensorInfo(name, dtype, shape, path, data_begin + begin, end - begin)


def read_model_headers(directory):
    """{name: TensorInfo} of a model directory (index and shards, or model.safetensors) or of one .safetensors file."""
    if os.path.isfile(directory):
        return read_header(directory)[0]
    index = os.path.join(directory, "model.safetensors.index.json")
    if not os.path.exists(index):
        return read_header(os.path.join(directory, "model.safetensors"))[0]
    weight_map = load_json(index)["weight_map"]
    shards = {shard: read_header(os.path.join(directory, shard))[0] for shard in sorted(set(weight_map.values()))}
    found = {name: info for tensors in shards.values() for name, info in tensors.items()}
    if set(found) != set(weight_map) or sum(map(len, shards.values())) != len(found):
        raise FormatError(f"{directory}: index and shards disagree")
    return {name: shards[weight_map[name]][name] for name in weight_map}


def read_bytes(info):
    with open(info.path, "rb") as file:
        file.seek(info.begin)
        data = file.read(info.n_bytes)
    if len(data) != info.n_bytes:
        raise FormatError(f"{info.path}: truncated in {info.name}")
    return data


def read_float32(info):
    return widen(read_bytes(info), info.dtype).reshape(info.shape)


def make_header(tensors, metadata=None):
    """The length bytes and JSON for [(name, dtype, shape)], data in that order; padded to a multiple of 8."""
    header, begin = {"__metadata__": metadata} if metadata else {}, 0
    for name, dtype, shape in tensors:
        end = begin + math.prod(shape) * DTYPE_BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def write(path, tensors, metadata=None):
    """tensors: {name: (dtype, shape, bytes)}. Larger types come first, so that all are aligned."""
    order = sorted(tensors, key=lambda name: (-DTYPE_BYTES[tensors[name][0]], name))
    with open(path, "wb") as file:
        file.write(make_header([(name, *tensors[name][:2]) for name in order], metadata))
        for name in order:
            file.write(tensors[name][2])


# ---------------------------------------------------------------------------------------------- element types
def widen(data, dtype):
    """Raw little-endian bytes to float32; exact but for F64, which is rounded to nearest even."""
    import numpy as np

    if dtype == "F32":
        return np.frombuffer(data, "<f4").copy()
    if dtype == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    if dtype == "F16":
        return np.frombuffer(data, "<f2").astype(np.float32)
    if dtype == "F64":
        return np.frombuffer(data, "<f8").astype(np.float32)
    return _fp8_values(dtype)[np.frombuffer(data, np.uint8)]


def narrow(values, dtype):
    """float32 to raw bytes of a floating type, rounded to nearest even; values must be finite and fit."""
    import numpy as np

    values = np.ascontiguousarray(values, np.float32)
    if dtype == "F32":
        return values.astype("<f4").tobytes()
    if dtype == "F64":
        return values.astype("<f8").tobytes()
    if dtype == "F16":
        return values.astype("<f2").tobytes()
    if dtype == "BF16":
        bits = values.view(np.uint32)
        return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype("<u2").tobytes()
    # fp8: the nearest of the 128 magnitudes; of two equally near ones the even code.
    magnitudes = _fp8_values(dtype)[:128]
    magnitudes = magnitudes[np.isfinite(magnitudes)].astype(np.float64)
    target = np.abs(values).astype(np.float64)
    above = np.minimum(np.searchsorted(magnitudes, target), len(magnitudes) - 1)
    below = np.maximum(above - 1, 0)
    low, high = target - magnitudes[below], magnitudes[above] - target
    code = np.where((low < high) | ((low == high) & (below % 2 == 0)), below, above)
    return (code + np.where(np.signbit(values), 128, 0)).astype(np.uint8).tobytes()


def _fp8_values(dtype):
    import numpy as np

    exponent_bits, mantissa_bits, bias = {"F8_E4M3": (4, 3, 7), "F8_E5M2": (5, 2, 15)}[dtype]
    code = np.arange(128)
    exponent, mantissa = code >> mantissa_bits, code & ((1 << mantissa_bits) - 1)
    fraction = np.where(exponent > 0, 1 + mantissa / (1 << mantissa_bits), mantissa / (1 << mantissa_bits))
    magnitude = fraction * 2.0 ** (np.maximum(exponent, 1) - bias)
    if dtype == "F8_E4M3":  # no infinity, one NaN
        magnitude[127] = np.nan
    else:
        top = exponent == (1 << exponent_bits) - 1
        magnitude[top] = np.where(mantissa[top] == 0, np.inf, np.nan)
    return np.concatenate([magnitude, -magnitude]).astype(np.float32)
