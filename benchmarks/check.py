"""``lt data check`` on a folder of JPEGs, the whole command with its start: seconds on the clock and of CPU time.

python benchmarks/check.py --out benchmarks/results/check.json
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loading import make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=300, help="pixels")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), args.images, args.side, args.side)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.jpg"))
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-m", "lt_lightning", "data", "check", folder], check=True, capture_output=True)
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    row = {"images": args.images, "MB": round(size / 1e6), "processes": os.cpu_count(), "seconds": round(seconds, 1)}
    row["core seconds"] = round(core, 1)
    print(row)
    if args.out:
        args.out.write_text(json.dumps({"rows": [row]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
