"""The release image's root, run as an engine would run it: what is in it, and that it does what the host's build does."""
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import tarfile

import pytest

from tests import programs
from tests.harness import Sobre, eventually, fetch
from tests.tables import AT, WORLDS, demand
from tests.test_tls import Authority, ask, connect

pytestmark = pytest.mark.image

PROJECT = pathlib.Path(__file__).resolve().parents[2]
ENTER = PROJECT / "image" / "enter"
USER = 65532
PROGRAM, GRPC = "/usr/bin/sobre", "/usr/bin/sobre-grpc"
STATUS = "var/lib/dpkg/status.d"


@pytest.fixture(scope="module")
def root(namespaces) -> pathlib.Path:
    return pathlib.Path(programs.named("image-root"))


def paths(root: pathlib.Path) -> list[pathlib.Path]:
    return [root, *root.rglob("*")]


def inside(root: pathlib.Path, path: pathlib.Path) -> str:
    return str(path.relative_to(root))


def program_files(root: pathlib.Path) -> list[pathlib.Path]:
    """All files of machine code."""
    def is_elf(path: pathlib.Path) -> bool:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    return [path for path in paths(root) if path.is_file() and not path.is_symlink() and is_elf(path)]


def give(folder: pathlib.Path) -> None:
    """As a volume of the pod's: the image's user owns it."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, USER, USER, follow_symlinks=False)


def run_in(root: pathlib.Path, folder: pathlib.Path, *command) -> subprocess.CompletedProcess:
    give(folder)
    return subprocess.run([ENTER, root, folder, *map(str, command)], capture_output=True, text=True, timeout=120)


class ImageSobre(Sobre):
    """`sobre serve` of the image."""

    def __init__(self, root: pathlib.Path, folder: pathlib.Path, config: dict, *arguments) -> None:
        self.binary = folder / "in-image"
        self.binary.write_text(f'#!/bin/sh\nexec "{ENTER}" "{root}" "{folder}" {PROGRAM} "$@"\n')
        self.binary.chmod(0o755)
        super().__init__(folder, config, *arguments)

    def start(self) -> None:
        give(self.folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOBRE_BIN", str(self.binary))
            super().start()

    def pid(self) -> int:
        """Of the service itself, below what enters the root."""
        pid = self.process.child.pid
        while children := pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            pid = int(children[0])
        return pid

    def stop(self, how=signal.SIGTERM) -> int:
        if self.process.running():
            os.kill(self.pid(), how)
        return self.process.stop(signal.SIGKILL) if how == signal.SIGKILL else self.process.child.wait(60)


@pytest.fixture
def start(root, tmp_path):
    running = []

    def begin(config: dict, *arguments, of: pathlib.Path = root) -> ImageSobre:
        running.append(ImageSobre(of, tmp_path, config, *arguments))
        return running[-1]
    yield begin
    for sobre in running:
        sobre.process.stop(signal.SIGKILL)


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path / "ca", "test-ca")


def write_world(folder: pathlib.Path, name: str, objective: str) -> list:
    """The files of one of the documentation's worlds, as arguments of `sobre score`."""
    world = WORLDS[name]()
    (folder / "rows").mkdir(exist_ok=True)
    for table, rows in world.catalogue.items():
        (folder / "rows" / table).write_text(rows)
    annotations = {"sobre.dev/objective": objective, "sobre.dev/unit": "pod-hour"}
    pod = {"metadata": {"name": "web-0", "namespace": "shop", "annotations": annotations},
           "spec": {"containers": [{"name": "app", "resources": {"requests": demand(name)}}]}}
    files = {"nodes": {"items": world.nodes}, "signals": world.signals, "pod": pod, "config": {"catalog": {"directory": "rows"}}}
    arguments = ["--at", AT]
    for kind, content in files.items():
        (folder / f"{kind}.json").write_text(json.dumps(content))
        arguments += [f"--{kind}", folder / f"{kind}.json"]
    return arguments


# What is in it.

def test_there_are_two_programs_and_their_libraries_are_all_there(root):
    executable = {inside(root, p) for p in paths(root) if p.is_file() and not p.is_symlink() and os.access(p, os.X_OK)}
    assert {path for path in executable if ".so" not in pathlib.Path(path).name} == {p.lstrip("/") for p in (PROGRAM, GRPC)}
    found = program_files(root)
    assert len(found) > 5 and executable <= {inside(root, p) for p in found}, "a script is in the image"
    names = {path.name for path in paths(root) if ".so" in path.name}
    for path in found:
        dynamic = subprocess.run(["readelf", "-d", path], check=True, capture_output=True, text=True).stdout
        assert set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)) <= names, inside(root, path)


def test_nothing_leads_out_of_it(root):
    for path in paths(root):
        if path.is_symlink():
            target = os.readlink(path)
            assert (root / target.lstrip("/") if target.startswith("/") else path.parent / target).exists(), inside(root, path)


def test_its_user_can_write_nowhere_but_where_data_go(root):
    writable, privileged = set(), set()
    for path in paths(root):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            continue
        if status.st_uid == USER or status.st_gid == USER or status.st_mode & stat.S_IWOTH:
            writable.add(inside(root, path))
        if status.st_mode & (stat.S_ISUID | stat.S_ISGID) or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            privileged.add(inside(root, path))
    assert writable == {"tmp", "var/lib/sobre"}
    assert privileged == set()
    users = dict(line.split(":")[:1] + [line.split(":")[2]] for line in (root / "etc/passwd").read_text().splitlines())
    assert users == {"root": "0", "sobre": str(USER)}


def test_its_libraries_are_debians_and_the_sbom_names_each_ones_package(root):
    sbom = json.loads((root / "usr/share/sbom/sobre.spdx.json").read_text())
    listed = {package["name"]: package for package in sbom["packages"]}
    installed = {path.name for path in (root / STATUS).iterdir() if path.suffix != ".md5sums"}
    assert {name for name, package in listed.items() if "pkg:deb/" in package["externalRefs"][0]["referenceLocator"]} == installed
    shipped = {}
    for name in installed:
        status = (root / STATUS / name).read_text()
        version, architecture = (re.search(rf"^{field}: (.+)$", status, re.MULTILINE)[1] for field in ("Version", "Architecture"))
        purl = listed[name]["externalRefs"][0]["referenceLocator"]
        assert listed[name]["versionInfo"] == version and f"?arch={architecture}&distro=debian-13" in purl
        assert (root / "usr/share/doc" / name / "copyright").stat().st_size > 100
        for line in (root / STATUS / f"{name}.md5sums").read_text().splitlines():
            digest, path = line.split(maxsplit=1)
            shipped[path] = (digest, name)
    for path in program_files(root):
        if f"/{inside(root, path)}" not in (PROGRAM, GRPC):
            digest, name = shipped[inside(root, path)]
            assert hashlib.md5(path.read_bytes()).hexdigest() == digest, f"{path} is not what {name} ships"


def test_the_sbom_is_whole(root):
    sbom = json.loads((root / "usr/share/sbom/sobre.spdx.json").read_text())
    packages = {package["SPDXID"]: package for package in sbom["packages"]}
    assert len(packages) == len(sbom["packages"])
    sobre, uplot = packages["SPDXRef-Package-sobre"], packages["SPDXRef-Package-uplot"]
    for program in (PROGRAM, GRPC):
        assert f"{program} has the SHA-256 {hashlib.sha256((root / program.lstrip('/')).read_bytes()).hexdigest()}" in sobre["sourceInfo"]
    locked = json.loads((PROJECT / "web/package-lock.json").read_text())["packages"]["node_modules/uplot"]
    assert (uplot["versionInfo"], uplot["licenseDeclared"]) == (locked["version"], "MIT")
    assert "MIT" in (root / "usr/share/doc/sobre/uplot/LICENSE").read_text()
    reached = {"SPDXRef-DOCUMENT"}
    edges = {(r["spdxElementId"], r["relatedSpdxElement"]) for r in sbom["relationships"]}
    while more := {b for a, b in edges if a in reached} - reached:
        reached |= more
    assert reached - {"SPDXRef-DOCUMENT"} == set(packages), "each package is there for a reason"


# What it does.

def test_it_says_who_it_is_and_how_it_is_used(root, tmp_path, sobre_bin):
    for program, own in ((PROGRAM, sobre_bin), (GRPC, f"{sobre_bin}-grpc")):
        for argument in ("--version", "--help"):
            host = subprocess.run([own, argument], capture_output=True, text=True, check=True)
            image = run_in(root, tmp_path, program, argument)
            assert (image.returncode, image.stdout) == (0, host.stdout), image.stderr


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("objective", ["balanced", "priced"])
def test_it_decides_what_the_hosts_build_decides_to_the_byte(root, tmp_path, sobre_bin, world, objective):
    arguments = write_world(tmp_path, world, objective)
    for form in ([], ["--explain"], ["--record"]):
        host = subprocess.run([sobre_bin, "score", *arguments, *form], capture_output=True, text=True, check=True)
        image = run_in(root, tmp_path, PROGRAM, "score", *arguments, *form)
        assert (image.returncode, image.stdout) == (0, host.stdout), image.stderr
    (tmp_path / "records").write_text(host.stdout)
    again = run_in(root, tmp_path, PROGRAM, "verify", "--in", tmp_path / "records", "--config", tmp_path / "config.json")
    assert again.stdout == "1 records made again: all agree\n", again.stderr


def test_thousands_of_decisions_are_the_hosts(root):
    program = programs.named("digests").split(":")[0]
    host = subprocess.run([program, "1"], capture_output=True, text=True, check=True).stdout
    assert (root / "usr/share/doc/sobre/decisions.digest").read_text() == host


def test_it_serves_over_tls_with_no_right_but_its_own_files(start, authority, postgres, tmp_path):
    arguments = write_world(tmp_path, "cloud CPU", "balanced")
    pem, key = authority.issue("sobre")
    sobre = start({"listen": {"tls": {"certificate_file": str(pem), "key_file": str(key)}},
                   "records": {"directory": str(tmp_path / "records"), "postgres": postgres.url()}}, "--nodes", arguments[3])
    lines = pathlib.Path(f"/proc/{sobre.pid()}/status").read_text().splitlines()
    state = dict(line.split(":\t") for line in lines if ":\t" in line)
    assert state["Uid"].split() == state["Gid"].split() == [str(USER)] * 4 and not state["Groups"].strip()
    assert {int(state[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0} and state["NoNewPrivs"] == "1"
    assert state["NSpid"].split()[-1] == "1", "the first process of its namespace, as in a container"
    sobre.url = f"https://localhost:{sobre.extender_port}"
    scores, kept = ask(connect(sobre, authority.trust()))
    assert {"fr", "de"} <= {score["Host"] for score in json.loads(scores)} and kept
    page = fetch(sobre.status_url + "/").decode()
    assert "<html" in page and fetch(sobre.status_url + "/assets/app.js")
    eventually(lambda: json.loads(fetch(sobre.status_url + "/api/v1/decisions")), "the decision is told")
    eventually(lambda: postgres.query("SELECT COUNT(*) FROM entries WHERE kind = 'decision'") == "1", "it is on record at PostgreSQL")
    assert sobre.stop() == 0
    assert (tmp_path / "records" / "records.db").stat().st_uid == USER


def test_it_trusts_the_authorities_that_the_image_holds(root, start, authority, tmp_path):
    arguments = write_world(tmp_path, "cloud CPU", "balanced")
    pem, key = authority.issue("sobre", alternatives="IP:127.0.0.1")
    sobre = start({"listen": {"tls": {"certificate_file": str(pem), "key_file": str(key)}}}, "--nodes", arguments[3])
    probe = [PROGRAM, "probe", "--extender", f"https://127.0.0.1:{sobre.extender_port}"]
    stranger = run_in(root, tmp_path, *probe)
    assert stranger.returncode == 1 and "certificate" in stranger.stdout + stranger.stderr

    trusting = tmp_path.parent / f"{tmp_path.name}-trusting"
    shutil.copytree(root, trusting, symlinks=True)
    bundle = trusting / "etc/ssl/certs/ca-certificates.crt"
    assert bundle.read_text().count("BEGIN CERTIFICATE") > 50
    bundle.write_text(bundle.read_text() + authority.pem.read_text())
    known = run_in(trusting, tmp_path, *probe)
    assert known.returncode == 0, known.stdout + known.stderr


# How it is packed.

def test_the_layout_holds_the_root_and_what_an_engine_has_to_know(root, tmp_path):
    layout = root.parent / "oci"

    def blob(descriptor: dict) -> bytes:
        data = (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
        assert (len(data), "sha256:" + hashlib.sha256(data).hexdigest()) == (descriptor["size"], descriptor["digest"])
        return data

    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    (layer,) = manifest["layers"]
    plain = gzip.decompress(blob(layer))
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(plain).hexdigest()]
    assert config["os"] == "linux" and described["platform"]["architecture"] == config["architecture"]
    assert config["config"]["User"] == f"{USER}:{USER}" and config["config"]["Entrypoint"] == [PROGRAM]
    labels = config["config"]["Labels"]
    version = re.search(r"project\(sobre VERSION ([0-9.]+)", (PROJECT / "CMakeLists.txt").read_text())[1]
    assert labels["org.opencontainers.image.version"] == version and labels["org.opencontainers.image.licenses"] == "Apache-2.0"

    extracted = tmp_path / "layer.tar"
    extracted.write_bytes(plain)
    with tarfile.open(extracted) as tar:
        members = {member.name: member for member in tar}
        for name, member in members.items():
            if member.isfile():
                assert tar.extractfile(member).read() == (root / name).read_bytes(), name
    assert set(members) == {inside(root, path) for path in paths(root)} - {"."}
    assert {m.uid for m in members.values()} == {0, USER} and members["tmp"].mode == 0o1777
    assert {m.name for m in members.values() if m.uid} == {"var/lib/sobre"}


def test_the_dockerfile_and_the_script_say_the_same():
    text = (PROJECT / "image/Dockerfile").read_text()
    version = re.search(r"project\(sobre VERSION ([0-9.]+)", (PROJECT / "CMakeLists.txt").read_text())[1]
    assert set(re.findall(r"^ARG VERSION=(.+)$", text, re.MULTILINE)) == {version}
    suite = re.search(r"^suite=(\w+)$", (PROJECT / "image/make").read_text(), re.MULTILINE)[1]
    assert re.search(r"^FROM debian:(\w+)-slim AS build$", text, re.MULTILINE)[1] == suite
    assert "image/build /out" in text and "exec image/build /out" in (PROJECT / "image/make").read_text()
    for path in re.findall(r"^COPY (image/\S+)", text, re.MULTILINE):
        assert (PROJECT / path).is_file()
