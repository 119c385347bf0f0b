import os
import pathlib

import pytest

from tests.harness import ControlPlane, Exporter, Postgres, Prometheus


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
