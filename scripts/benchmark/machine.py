# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the machine and the program, without which numbers mean little."""
import datetime
import os
import platform
import subprocess


def _output_of(command, folder=None):
    """What it prints; "" where there is no such program or it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _values(path, name):
    """Of the lines `name : value`."""
    with open(path, encoding="utf-8") as file:
        return [line.split(":", 1)[1].strip() for line in file if line.split(":", 1)[0].strip() == name]


def memory_bytes(name):
    """An entry of /proc/meminfo."""
    return int(_values("/proc/meminfo", name)[0].split()[0]) * 1024


def _cmake_cache(program):
    """{name: value} of the build that made the program; empty elsewhere."""
    path = os.path.join(os.path.dirname(program), "CMakeCache.txt")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        entries = [line.rstrip("\n").partition("=") for line in file if not line.startswith(("#", "//"))]
    return {name.partition(":")[0]: value for name, _, value in entries}


def _compiler(program):
    cache = _cmake_cache(program)
    compiler = _output_of([cache.get("CMAKE_CXX_COMPILER", ""), "--version"]).partition("\n")[0]
    return f"{compiler}, {cache['CMAKE_BUILD_TYPE']}" if compiler else "unknown"


def commit(program):
    """Of the checkout in which the program was built."""
    return _output_of(["git", "describe", "--always", "--dirty"], os.path.dirname(program)) or "unknown"


def machine():
    names = _values("/proc/cpuinfo", "model name")
    return {"cpu": names[0] if names else platform.processor(), "cores": len(os.sched_getaffinity(0)),
            "kernel": platform.release(), "load_average": os.getloadavg()[0]}


def about(program, work_folder, settings):
    facts = machine()
    return {"date": f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC", "commit": commit(program),
            "load_average": facts["load_average"], "settings": settings,
            "machine": {"CPU": facts["cpu"], "cores": facts["cores"],
                        "memory": f"{memory_bytes('MemTotal') / 1e9:.1f} GB", "kernel": facts["kernel"],
                        "file system": _output_of(["df", "--output=fstype", work_folder]).split("\n")[-1],
                        "compiler": _compiler(program), "Python": platform.python_version()}}
