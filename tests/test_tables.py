"""The tables in the documentation are what the program says, and balanced does in them what it promises."""
import pytest

from tests import tables


@pytest.mark.parametrize("document", tables.TABLES, ids=lambda path: path.name)
def test_the_tables_of_the_documentation_are_up_to_date(document):
    assert tables.rendered(document) == document.read_text(), "call ./run tables, and look at what changed"


@pytest.mark.parametrize("world", tables.WORLDS)
def test_balanced_follows_grams_within_the_tolerance_and_euros_beyond(world):
    nodes = tables.WORLDS[world]().score({"unit": "pod-hour"}, tables.demand(world))["by_name"].values()
    euros = {n["node"]: n["placement"]["eurPerUnit"] for n in nodes}
    grams = {n["node"]: n["placement"]["gco2ePerUnit"]["mid"] for n in nodes}
    scores = {n["node"]: n["score"] for n in nodes}
    limit = min(euros.values()) * 1.1
    within, beyond = [n for n in euros if euros[n] <= limit], [n for n in euros if euros[n] > limit]
    assert scores[min(within, key=grams.get)] == 10
    assert all(scores[n] >= 4 for n in within) and all(scores[n] <= 3 for n in beyond)
    in_order = sorted(within, key=grams.get)
    assert [scores[n] for n in in_order] == sorted((scores[n] for n in within), reverse=True)
    in_order = sorted(beyond, key=euros.get)
    assert [scores[n] for n in in_order] == sorted((scores[n] for n in beyond), reverse=True)


def test_the_faster_hungrier_accelerator_wins_per_request():
    candidates = tables.inference()
    for place in ("fr", "se", "de", "pl"):
        small, large = candidates[f"{place}-l4"], candidates[f"{place}-h100"]
        assert large["report"]["watts"] > small["report"]["watts"]
        assert large["report"]["gco2ePerUnit"]["mid"] < small["report"]["gco2ePerUnit"]["mid"]
