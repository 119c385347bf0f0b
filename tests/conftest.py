import contextlib
import itertools
import os
import pathlib

import pytest

from tests.harness import ControlPlane, Exporter, Postgres, Prometheus
from tests.minicluster import Image, MiniCluster


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"{name} is not set; run the tests with ./run test", pytrace=False)
    return value


@pytest.fixture(scope="session")
def sobre_bin() -> str:
    return _from_environment("SOBRE_BIN")


@pytest.fixture(scope="session")
def tools() -> pathlib.Path:
    return pathlib.Path(_from_environment("SOBRE_TOOLS"))


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory):
    binaries = pathlib.Path(_from_environment("SOBRE_CONTROL_PLANE"))
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"), binaries)
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def control_planes() -> dict[str, pathlib.Path]:
    """The folders of all versions that are tested, by minor version ("1.36")."""
    folders = [pathlib.Path(f) for f in _from_environment("SOBRE_CONTROL_PLANES").split(":")]
    return {f.name.split("-")[1].removeprefix("v").rpartition(".")[0]: f for f in folders}


@pytest.fixture
def make_cluster(tmp_path, sobre_bin, tools, control_planes):
    """make_cluster(version="1.36", **what MiniCluster takes): a cluster that knows the chart's images; stopped after the test."""
    stack, numbers = contextlib.ExitStack(), itertools.count()

    def make(version: str = "1.36", images=None, **more) -> MiniCluster:
        binaries, folder = control_planes[version], tmp_path / f"cluster-{next(numbers)}"
        folder.mkdir()
        known = {"sobre": Image(["/usr/bin/sobre"], files={"/usr/bin/sobre": pathlib.Path(sobre_bin)}),
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
