"""What the machine has: devices, memory, disk."""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lt_lightning.doctor.finding import Finding, error, ok, warning

GIB = 2**30
SHARED_MEMORY = Path("/dev/shm")  # nosec B108 - only its size is looked at
ENOUGH_SHARED, ENOUGH_DISK, LEAST_DISK = GIB, 10 * GIB, GIB // 4
ENOUGH_FILES = 1024


def check_devices() -> Iterator[Finding]:
    """Accelerators, or processors where there is none, with bfloat16 and what processes talk by."""
    import torch  # takes seconds

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    sizes = [torch.cuda.get_device_properties(i).total_memory / GIB for i in range(torch.cuda.device_count())]
    if names:
        found = "; ".join(f"{name}, {size:.0f} GiB" for name, size in zip(names, sizes, strict=True))
        yield ok("CUDA", f"{found}; CUDA {torch.version.cuda}")
    elif torch.version.cuda and Path("/proc/driver/nvidia").exists():
        yield warning("CUDA", "a driver, but no device that torch can use", "compare nvidia-smi and torch.version.cuda")
    else:
        yield ok("CUDA", "none")
    yield ok("MPS", "there" if torch.backends.mps.is_available() else "none")
    yield ok("processors", f"{os.cpu_count()} cores, threads of torch: {torch.get_num_threads()}{_memory()}")
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if names else _has_fast_bf16()
    fast = "in hardware" if bf16 else "emulated: --trainer.precision 32-true is faster"
    yield ok("bfloat16", fast)
    backends = {"gloo": torch.distributed.is_gloo_available(), "nccl": torch.distributed.is_nccl_available()}
    there = ", ".join(name for name, is_there in backends.items() if is_there)
    if names and not backends["nccl"]:
        yield warning("several processes", f"{there or 'nothing'}, no nccl", "install torch with CUDA")
    else:
        yield ok("several processes", there or "not supported by this torch")


def check_shared_memory(folder: Path = SHARED_MEMORY) -> Finding:
    """Where loading processes (``--data.num_workers``) put batches; containers often have 64 MiB."""
    what = "shared memory"
    if not folder.is_dir():
        return ok(what, "not limited here")
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_SHARED:
        mend = "docker run --shm-size 8g, or --data.num_workers 0"
        return warning(what, f"{free / GIB:.2f} GiB free: loading processes may die", mend)
    return ok(what, f"{free / GIB:.1f} GiB free in {folder}")


def check_folder(folder: Path) -> Iterator[Finding]:
    """The working folder: whether it can be written, and how much room it has."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"a byte")
    except OSError as problem:
        yield error("working folder", f"nothing can be written ({problem.strerror})", "go to another folder")
    else:
        yield ok("working folder", "can be written")
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free"
    if free < LEAST_DISK:
        yield error("disk", found, "make room, or train elsewhere: --trainer.default_root_dir DIR")
    elif free < ENOUGH_DISK:
        yield warning("disk", found, "a run of a large model keeps three checkpoints of up to 1 GiB; make room")
    else:
        yield ok("disk", found)


def check_open_files() -> Finding:
    """How many files a process may open: loading processes need some each."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < ENOUGH_FILES:
        return warning("open files", f"at most {soft}", "ulimit -n 4096")
    return ok("open files", f"at most {soft}" if soft >= 0 else "not limited")


def _memory() -> str:
    names = os.sysconf_names
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return ""
    return f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / GIB:.1f} GiB memory"


def _has_fast_bf16() -> bool:
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
