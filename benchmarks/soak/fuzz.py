"""Every parser of bytes from outside under Atheris, which is led by what the code does with them.

    make soak ONLY=fuzz [SEED=7] [ARGS="180 [--keep] [NAME ...]"]      seconds for each target

A find is shown with its octets in base64; put them into tests/fuzzing/corpus/NAME with the repair,
and `make test` asks for them for ever. `--keep` adds to that corpus what reached further than all
that is in it, as far as it is small. Two targets run at once.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import results
from fuzzing import registry
from fuzzing.registry import TARGETS

SECONDS = 180
MEMORY_MIB_MAX = 512  # of which the interpreter with all that it has loaded takes a third
PROGRAM = results.ROOT / "tests" / "fuzzing" / "under_atheris.py"


def python() -> str:
    """The Python that has Atheris; ends here, with a sentence, where there is no wheel for it."""
    maker = [sys.executable, str(results.ROOT / "tools" / "environment.py"), "fuzz"]
    done = subprocess.run(maker, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit("Without Atheris, which this machine does not get, only Hypothesis fuzzes.")
    return done.stdout.splitlines()[-1]


def written(folder: Path, inputs: list[bytes]) -> Path:
    folder.mkdir()
    for one in inputs:
        (folder / hashlib.sha256(one).hexdigest()[:16]).write_bytes(one)
    return folder


def libfuzzer(program: str, name: str, *options: str, seconds: float) -> tuple[int, str]:
    """How it ended, and what it said."""
    done = subprocess.run(
        [program, str(PROGRAM), name, *options],
        env=dict(os.environ, PYTHONHASHSEED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=seconds,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def fuzz(program: str, name: str, seconds: int, *, keep: bool) -> dict[str, Any]:
    target = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix=f"postroad-fuzz-{name}-") as base:
        folder = Path(base)
        begin = [*target.seeds(), *registry.corpus(name)]
        found = written(folder / "inputs", begin)
        (folder / "finds").mkdir()
        began = time.monotonic()
        status, said = libfuzzer(
            program,
            name,
            f"-max_total_time={seconds}",
            f"-seed={results.seed()}",
            f"-max_len={target.bytes_max}",
            "-timeout=5",
            f"-rss_limit_mb={MEMORY_MIB_MAX}",
            f"-artifact_prefix={folder}/finds/",
            "-print_final_stats=1",
            str(found),
            seconds=seconds + 300,
        )
        artifacts = (one.read_bytes() for one in (folder / "finds").iterdir())
        finds = [base64.b64encode(one).decode() for one in artifacts]
        figure = {
            "seconds": round(time.monotonic() - began, 1),
            "executions": _number(r"stat::number_of_executed_units: +(\d+)", said),
            "covered": _number(r"cov: (\d+)", said),
            "inputs_that_reached_further": len(list(found.iterdir())) - len(set(begin)),
            "peak_mib": _number(r"stat::peak_rss_mb: +(\d+)", said),
            "finds": len(finds) + (1 if status and not finds else 0),
        }
        if status:
            print(said[-3000:], flush=True)
            for one in finds:
                print(f"fuzz: {name}: a find, in base64: {one}", flush=True)
        elif keep:
            figure["kept"] = _keep(name, found)
    print(f"fuzz: {name}: {figure}", flush=True)
    return figure


def _keep(name: str, found: Path) -> int:
    """Add what reached further to what is kept, the shortest first; how many there are.

    libFuzzer has taken in only what reached something new, and as small as it could make it."""
    registry.keep(name, [*registry.corpus(name), *(one.read_bytes() for one in found.iterdir())])
    return len(registry.corpus(name))


def _number(pattern: str, said: str) -> int:
    """The last one of its kind."""
    numbers = re.findall(pattern, said)
    return int(numbers[-1]) if numbers else 0


def main() -> None:
    keep = "--keep" in sys.argv
    words = [one for one in sys.argv[1:] if one != "--keep"]
    seconds = int(words.pop(0)) if words and words[0].isdigit() else SECONDS
    if strange := set(words) - set(TARGETS):
        sys.exit(f"No such target: {', '.join(strange)}. There is {', '.join(TARGETS)}.")
    program = python()
    names = words or list(TARGETS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        figures = list(pool.map(lambda name: fuzz(program, name, seconds, keep=keep), names))
    figure = {"seconds_each": seconds, "targets": dict(zip(names, figures, strict=True))}
    results.write("fuzz", figure, len(names))
    if any(one["finds"] for one in figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
