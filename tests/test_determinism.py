"""The same decisions, to the byte, whoever compiled them and however many threads decide."""
import os
import subprocess


def test_every_build_decides_the_same_at_any_number_of_threads():
    programs = os.environ["SOBRE_DIGESTS"].split(":")
    assert len(programs) >= 3, "g++ without optimisation, g++ with, clang++"
    digests = {(program, threads): subprocess.run([program, str(threads)], capture_output=True, text=True, check=True).stdout
               for program in programs for threads in (1, 2, 8)}
    assert len(set(digests.values())) == 1, digests
