# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Files in the page cache, and out of it."""
import ctypes
import mmap
import os
import time

_libc = ctypes.CDLL(None, use_errno=True)


def read_all(paths):
    """Seconds for reading them one after another, as a plain copy program does."""
    buffer = bytearray(4 << 20)
    start = time.monotonic()
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.monotonic() - start


def resident_share(path):
    """How much of it is in the page cache."""
    size = os.path.getsize(path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as pages:
        n_pages = -(-size // mmap.PAGESIZE)
        flags = (ctypes.c_ubyte * n_pages)()
        view = (ctypes.c_char * size).from_buffer(pages)
        failed = _libc.mincore(ctypes.c_void_p(ctypes.addressof(view)), ctypes.c_size_t(size), flags)
        del view
    if failed:
        raise OSError(ctypes.get_errno(), "mincore")
    return sum(flag & 1 for flag in bytes(flags)) / n_pages


def drop(paths):
    """True if they are out of it. Only these files, as other programs' files are no business of a benchmark."""
    os.sync()  # dirty pages would stay
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)
    return all(resident_share(path) < 0.01 for path in paths)


def drop_everything():
    """True if the system let us."""
    try:
        with open("/proc/sys/vm/drop_caches", "w", encoding="utf-8") as file:
            file.write("3\n")
    except OSError:
        return False
    return True
