import contextlib
import itertools
import pathlib
import subprocess
import sys

import pytest

from tests import isolation, programs
from tests.harness import ROOT, ControlPlane, Exporter, Postgres, Prometheus
from tests.minicluster import Image, MiniCluster


# The longest first, so that workers end together; all else as it comes. Of a file that stands here with True each test has a world of
# its own, so that workers share them; the tests of any other stay in one worker, in their order, with what its fixtures set up.
LONGEST = {
    "tests/e2e/test_installed.py": True, "tests/e2e/test_records.py": False, "tests/test_faults.py": True, "tests/test_store.py": False, "tests/test_overload.py": True,
    "tests/test_records.py": False, "tests/chaos/test_chaos.py": True, "tests/e2e/test_minicluster.py": False, "tests/test_page.py": False,
    "tests/e2e/test_deferral.py": False,
    "tests/e2e/test_monitoring.py": False, "tests/e2e/test_clusters.py": False, "tests/e2e/test_chart.py": False,
    "tests/e2e/test_presets.py": False, "tests/e2e/test_moves.py": False, "tests/test_service.py": False,
    "tests/test_signals.py": False, "tests/e2e/test_accounting.py": False, "tests/e2e/test_placement.py": False, "tests/test_api.py": False, "tests/e2e/test_page.py": False}
FIRST = ["tests/e2e/test_installed.py::test_without_any_one_rule_something_fails"]


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "image: of the release image; `./run test all` runs them")
    config.addinivalue_line("markers", "versions: of a version of Kubernetes beside 1.36; `./run test all` runs them")


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def pytest_collection_modifyitems(items) -> None:
    order = {file: number for number, file in enumerate(LONGEST)}
    items.sort(key=lambda item: (item.nodeid not in FIRST, order.get(_file(item.nodeid), len(order))))
    for name, reason in isolation.refusals().items():
        for item in items:
            if name in item.fixturenames:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter) -> None:
    """Names every test that was skipped: pytest's own list folds those of one reason."""
    for report in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_line(f"SKIPPED {report.nodeid}: {report.longrepr[2].removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def mounts() -> None:
    """For tests that mount a disk of their own; isolation.py says where they are skipped."""


@pytest.fixture(scope="session")
def namespaces() -> None:
    """For tests that enter a root in mount and PID namespaces of their own."""


@pytest.fixture(scope="session")
def containers() -> None:
    """For tests that run pods in containers behind a bridge."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """For `pytest -n WORKERS`."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if LONGEST.get(_file(nodeid)) else _file(nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def sobre_bin() -> str:
    return programs.sobre()


@pytest.fixture(scope="session")
def tools() -> pathlib.Path:
    return pathlib.Path(programs.named("tools"))


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory):
    binaries = pathlib.Path(programs.named("control-plane"))
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"), binaries)
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def control_plane_of():
    """control_plane_of(version): the folder of a control plane by minor version ("1.36"). Tests of any other version are marked `versions`."""
    def folder(version: str) -> pathlib.Path:
        if version == "1.36":
            return pathlib.Path(programs.named("control-plane"))
        folders = [pathlib.Path(f) for f in programs.named("control-planes").split(":")]
        return {f.name.split("-")[1].removeprefix("v").rpartition(".")[0]: f for f in folders}[version]

    return folder


@pytest.fixture
def make_cluster(tmp_path, sobre_bin, tools, control_plane_of, containers):
    """make_cluster(version="1.36", **what MiniCluster takes): a cluster that knows the chart's images; stopped after the test."""
    stack, numbers = contextlib.ExitStack(), itertools.count()

    def make(version: str = "1.36", images=None, **more) -> MiniCluster:
        binaries, folder = control_plane_of(version), tmp_path / f"cluster-{next(numbers)}"
        folder.mkdir()
        known = {"sobre": Image(["/usr/bin/sobre"], files={f"/usr/bin/{p.name}": p for p in map(pathlib.Path, (sobre_bin, f"{sobre_bin}-grpc"))}),
                 "registry.k8s.io/kube-scheduler": Image(files={"/usr/local/bin/kube-scheduler": binaries / "kube-scheduler"})}
        cluster = MiniCluster(folder, binaries, known | (images or {}), tools=tools, **more)
        stack.callback(cluster.stop)
        return cluster

    with stack:
        yield make


@pytest.fixture(scope="module")
def exporter():
    exporter = Exporter()
    yield exporter
    exporter.stop()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, exporter):
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), exporter)
    yield prometheus
    prometheus.stop()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    postgres = Postgres(tmp_path_factory.mktemp("postgres"))
    yield postgres
    postgres.close()


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """The messages and the client of proto/sobre/v1, as protoc makes them; their folder."""
    folder = tmp_path_factory.mktemp("stubs")
    plugin = subprocess.run(["which", "grpc_python_plugin"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["protoc", "-I.", f"--python_out={folder}", f"--grpc_out={folder}", f"--plugin=protoc-gen-grpc={plugin}",
                    "proto/sobre/v1/decision.proto", "proto/sobre/v1/service.proto"], check=True, cwd=ROOT)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
