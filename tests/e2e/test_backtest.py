"""The backtest's model against a real kube-scheduler: a small world; ./run backtest-check has a large one."""
import pathlib

from tests import programs
from tests.backtest_check import check, world


def test_a_real_kube_scheduler_places_as_the_backtest_says(tmp_path):
    """So few pods that chance has a larger part: each is 1 % of them."""
    works, comparisons = check.compare(tmp_path, pathlib.Path(programs.named("control-plane")), 40, world.made_up_grid(4), 100, ["kube-scheduler alone", "carbon", "cost"], 10, 3)
    assert sum(w.replicas for w in works) == 100
    by_policy = {c.policy: c for c in comparisons}
    mistakes = [m for c in comparisons for m in c.mistakes(5.0, 5.0)]
    assert not mistakes, mistakes
    assert by_policy["carbon"].real.grams < 0.7 * by_policy["kube-scheduler alone"].real.grams
    assert by_policy["cost"].real.euros < by_policy["carbon"].real.euros
    # And it would be seen if another policy had been played.
    swapped = check.Comparison("carbon", by_policy["cost"].real, by_policy["carbon"].backtests)
    assert swapped.mistakes(5.0, 5.0)
    assert set(world.POLICIES) > set(by_policy)
