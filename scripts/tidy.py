"""Runs clang-tidy over the sources of the project, beside tests, and remembers which passed.

usage: python3 scripts/tidy.py BUILD CACHE JOBS [OPTIONS OF CLANG-TIDY]

BUILD is a folder that ninja has built. A source is checked again when it, a header that it includes, the rules or the options changed; which
headers that are is what the compiler said as it built. Exit status 1 where something was found.
"""
import concurrent.futures
import functools
import hashlib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# g++'s precompiled headers mean nothing to clang.
PRECOMPILED = re.compile(r' -Winvalid-pch -include ("[^"]*"|[^ ]*)| -fpch-preprocess')


@functools.cache
def digest(path: pathlib.Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def included(build: pathlib.Path) -> dict[str, set[pathlib.Path]]:
    """By source, relative to the root, the files of this project and those made from them that the compiler read."""
    found: dict[str, set[pathlib.Path]] = {}
    for block in subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout.split("\n\n"):
        files = [(build / line.strip()).resolve() for line in block.splitlines()[1:]]
        ours = {file for file in files if file.is_relative_to(ROOT) and file.suffix in (".h", ".cc") and file.exists()}
        for source in (file for file in ours if file.suffix == ".cc"):
            found.setdefault(source.relative_to(ROOT).as_posix(), set()).update(ours)
    return found


def stamps(build: pathlib.Path, options: list[str]) -> dict[str, str]:
    """By source what its result depends on, as one name."""
    # Also what is not committed yet.
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard", "--", "*.cc", "*.h"], capture_output=True, text=True, check=True, cwd=ROOT)
    listed = sorted(name for name in set(listed.stdout.split("\0")) if name and (ROOT / name).exists())
    headers = {ROOT / name for name in listed if name.endswith(".h")}
    known = included(build)
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout
    rules = hashlib.sha256(version + (ROOT / ".clang-tidy").read_bytes() + "\0".join(options).encode()).digest()
    result = {}
    for source in listed:
        if source.endswith(".cc") and not source.endswith("_test.cc"):
            # What this build does not compile may include any header.
            files = sorted(known.get(source, headers | {ROOT / source}))
            result[source] = hashlib.sha256(rules + source.encode() + b"".join(file.name.encode() + digest(file) for file in files)).hexdigest()[:40]
    return result


def main(arguments: list[str]) -> int:
    if len(arguments) < 3 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    build, cache, jobs, options = pathlib.Path(arguments[0]).resolve(), pathlib.Path(arguments[1]), int(arguments[2]), arguments[3:]
    commands = ROOT / "build" / "tidy"
    commands.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    entries = json.loads((build / "compile_commands.json").read_text())
    for entry in entries:
        entry["command"] = PRECOMPILED.sub("", entry["command"])
    (commands / "compile_commands.json").write_text(json.dumps(entries))

    def check(source: str, stamp: pathlib.Path) -> str:
        done = subprocess.run(["clang-tidy", "-p", commands, "--quiet", *options, source], capture_output=True, text=True, cwd=ROOT)
        if done.returncode == 0:
            stamp.touch()
            return ""
        return done.stdout or done.stderr or f"{source}: clang-tidy ended with {done.returncode} and said nothing"

    waiting = {source: cache / stamp for source, stamp in stamps(build, options).items() if not (cache / stamp).exists()}
    print(f"{len(waiting)} sources to check", file=sys.stderr, flush=True)
    failed = False
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for said in pool.map(check, waiting, waiting.values()):
            if said:
                failed = True
                print(said, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
