"""How the programs that are shipped are built: what makes a memory error hard to use is in the files themselves."""
import pathlib
import platform
import re
import subprocess

import pytest

PROGRAMS = ["sobre", "sobre-grpc"]


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request, sobre_bin) -> pathlib.Path:
    folder = pathlib.Path(sobre_bin).parent
    cache = folder.parent / "CMakeCache.txt"
    if cache.exists() and not re.search(r"^CMAKE_BUILD_TYPE:\w+=Release$", cache.read_text(), re.M):
        pytest.skip("SOBRE_BIN is not the build that is shipped")
    return folder / request.param


def readelf(program: pathlib.Path, *options: str) -> str:
    return subprocess.run(["readelf", "--wide", *options, program], capture_output=True, text=True, check=True).stdout


def test_it_is_loaded_anywhere(program):
    assert re.search(r"Type:\s+DYN", readelf(program, "--file-header"))
    assert re.search(r"\(FLAGS_1\).*\bPIE\b", readelf(program, "--dynamic"))


def test_what_the_loader_fills_in_is_read_only_once_it_runs(program):
    assert "GNU_RELRO" in readelf(program, "--program-headers")
    assert re.search(r"\(FLAGS_1\).*\bNOW\b|\(BIND_NOW\)", readelf(program, "--dynamic"))


def test_nothing_is_writable_and_executable(program):
    headers = re.findall(r"^\s+(\w+)\s+0x\S+ 0x\S+ 0x\S+ 0x\S+ 0x\S+ ([RWE ]{3})", readelf(program, "--program-headers"), re.M)
    flags = dict(headers)
    assert "LOAD" in flags and flags["GNU_STACK"].strip() == "RW"
    assert [header for header in headers if "W" in header[1] and "E" in header[1]] == []


def test_no_library_is_looked_for_where_it_was_built(program):
    dynamic = readelf(program, "--dynamic")
    assert "NEEDED" in dynamic
    assert not re.search(r"RPATH|RUNPATH|TEXTREL", dynamic)


def test_overflows_of_buffers_end_it(program):
    symbols = readelf(program, "--dyn-syms")
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__(memcpy|snprintf|vsnprintf|read|memmove|printf|fprintf)_chk", symbols)


def test_every_source_was_compiled_with_the_flags(program):
    # The compiler writes its command line beside the line numbers.
    compiled = set(re.findall(rb"GNU C\+\+20[^\0]*", program.read_bytes()))
    assert compiled
    wanted = {b"-fPIE", b"-fstack-protector-strong", b"-fstack-clash-protection"}
    if platform.machine() == "x86_64":
        wanted.add(b"-fcf-protection=full")
    for line in compiled:
        assert wanted <= set(line.split()), line
