"""A short run with a fixed seed. `./run chaos` does longer ones, with all faults."""
from tests.chaos import run
from tests.chaos.setting import Options


def test_the_promises_hold_for_a_minute(tmp_path, sobre_bin):
    faults = ["kill", "watch-cut", "prometheus-garbage", "extender-cut", "token-expired"]
    result = run.run(Options(seed=4, minutes=0.5, store="sqlite"), tmp_path, faults, say=lambda text: None)
    assert {fault.name for fault, times, failed in result.faults if times and not failed} == set(faults)
    assert result.counts["bound"] > 10 and result.counts["decisions"] > 10, result.counts
    assert not result.violations, "\n".join(map(str, result.violations))
