"""Indexing a list of 437,513 images: CPU time, memory, and what a loading process comes to own of it.

Beside it, what the field's repositories do: lists of Python strings. Each is measured in a process of its own: CPU time
and growth of resident memory by indexing; then, of a forked process that touches each path once, as loading does, the
growth of its private memory.

    python benchmarks/index.py --out benchmarks/results/index.json
"""

import argparse
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROWS = 437_513


def make(file: Path, rows: int) -> None:
    """A list of the length and the path lengths of iNaturalist 2018's."""
    with file.open("w") as stream:
        for i in range(rows):
            stream.write(
                f"train_val2018/Plantae/{i % 8142}/{hashlib.md5(str(i).encode()).hexdigest()}.jpg {i % 8142}\n"
            )


def arrays(file: Path) -> Callable[[int], object]:
    from lt_lightning.data.index import ImageIndex

    index = ImageIndex.read(file)
    return lambda i: (index.path(i), index.target[i])


def strings(file: Path) -> Callable[[int], object]:
    paths, targets = [], []
    with file.open() as lines:
        for line in lines:
            paths.append(os.path.join("/images", line.split()[0]))  # noqa: PTH118 - what the peers do
            targets.append(int(line.split()[1]))
    return lambda i: (paths[i], targets[i])


WAYS: dict[str, Callable[[Path], Callable[[int], object]]] = {"arrays (ours)": arrays, "lists of str": strings}


def resident() -> float:
    """MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def private() -> float:
    """MiB that no other process shares."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"Private_\w+:\s+(\d+) kB", rollup)) / 1024


def measure(way: str, file: Path) -> dict[str, float]:
    import lt_lightning.data.index  # noqa: F401 - what is imported is not the index's

    before, start = resident(), time.process_time()
    look = WAYS[way](file)
    seconds, grown = time.process_time() - start, resident() - before
    reading, writing = os.pipe()
    if os.fork() == 0:
        first = private()
        for i in range(sum(1 for _ in file.open("rb"))):
            look(i)
        os.write(writing, str(private() - first).encode())
        os._exit(0)
    os.wait()
    return {"core seconds": seconds, "MiB": grown, "MiB of a worker": float(os.read(reading, 64))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one[0], Path(args.one[1]))))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (ROWS, 2 * ROWS):
            file = Path(folder, f"{count}.txt")
            make(file, count)
            found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _ in range(args.rounds):
                for way, runs in found.items():
                    command = [sys.executable, __file__, "--one", way, str(file)]
                    runs.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
            for way, runs in found.items():
                medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
                rows.append({"images": count, "index": way, **medians})
                print(rows[-1])
    if args.out:
        args.out.write_text(json.dumps({"rounds": args.rounds, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
