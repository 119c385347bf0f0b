"""The same decisions, to the byte, whoever compiled them and however many threads decide."""
import subprocess

from tests import programs


def test_every_build_decides_the_same_at_any_number_of_threads():
    builds = programs.named("digests").split(":")
    assert len(builds) >= 3, "g++ without optimisation, g++ with, clang++"
    digests = {(program, threads): subprocess.run([program, str(threads)], capture_output=True, text=True, check=True).stdout
               for program in builds for threads in (1, 2, 8)}
    assert len(set(digests.values())) == 1, digests
