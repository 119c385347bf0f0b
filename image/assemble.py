"""The image's root, and its SBOM: the program, what it links, and nothing to log in to.

usage: assemble.py BINARIES VERSION OUT   on the Debian on which the binaries were built; writes OUT/root and OUT/sobre.spdx.json
"""
import base64
import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
# Debian's libcurl looks for authorities here.
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
USER_ID = 65532
PROGRAMS = ("sobre", "sobre-grpc")
USERS = f"root:x:0:0:root:/:/sbin/nologin\nsobre:x:{USER_ID}:{USER_ID}:Sobre:/var/lib/sobre:/sbin/nologin\n"
GROUPS = f"root:x:0:\nsobre:x:{USER_ID}:\n"


def output(*command) -> str:
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


class Root:
    """A folder that becomes the root of the image."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def path(self, inside: str) -> pathlib.Path:
        path = self.folder / inside.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, inside: str, text: str) -> None:
        self.path(inside).write_text(text)

    def link(self, inside: str, target: str) -> None:
        self.path(inside).symlink_to(target)

    def copy(self, path: str) -> None:
        """A file of this system at its own path, with the links on the way to it."""
        parts, done = path.strip("/").split("/"), "/"
        while parts:
            here = os.path.join(done, parts.pop(0))
            if os.path.islink(here):
                target = os.readlink(here)
                if not os.path.lexists(self.path(here)):
                    self.link(here, target)
                absolute = os.path.normpath(os.path.join(done, target))
                parts, done = absolute.strip("/").split("/") + parts, "/"
            else:
                done = here
        shutil.copyfile(done, self.path(done))

    def set_modes(self) -> None:
        for path in [self.folder, *self.folder.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o644)


def linked_files(binary: pathlib.Path) -> dict[str, str]:
    """Where the loader finds each library, by the name that links it."""
    found = {}
    for line in output("ldd", binary).splitlines():
        if match := re.search(r"^\s*(\S+)(?: => (\S+))? \(0x", line):
            name, path = match.groups()
            if path or name.startswith("/"):
                found[os.path.basename(name)] = path or name
        elif "statically" not in line:
            raise SystemExit(f"assemble.py: {binary} lacks a library: {line.strip()}")
    return found


def needed(path: str | pathlib.Path) -> list[str]:
    return re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", path))


def owner(path: str) -> str:
    """The Debian package that a file is of."""
    return output("dpkg-query", "-S", os.path.realpath(path)).split(":")[0]


class Package:
    """An installed Debian package."""

    def __init__(self, name: str) -> None:
        fields = "${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${binary:Summary}"
        self.name = name
        self.version, self.architecture, self.source, self.source_version, self.summary = \
            output("dpkg-query", "-W", "-f", fields + "\n", name).splitlines()[0].split("\t")
        self.status = output("dpkg-query", "-s", name)
        self.checksums = pathlib.Path(output("dpkg-query", "--control-path", name, "md5sums").strip()).read_text()
        self.copyright = f"/usr/share/doc/{name}/copyright"

    def purl(self, release: dict[str, str]) -> str:
        version = urllib.parse.quote(self.version, safe=":~.-")
        return f"pkg:deb/debian/{self.name}@{version}?arch={self.architecture}&distro=debian-{release['VERSION_ID']}"


def spdx_id(name: str) -> str:
    return "SPDXRef-Package-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def entry(name: str, version: str, purl: str, **more) -> dict:
    """A package of the SBOM; `more` replaces and adds fields."""
    unsaid = {field: "NOASSERTION" for field in
              ("downloadLocation", "supplier", "licenseConcluded", "licenseDeclared", "copyrightText")}
    return {"SPDXID": spdx_id(name), "name": name, "versionInfo": version, "filesAnalyzed": False} | unsaid | {
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]} | more


def page_packages() -> dict[str, dict]:
    """What the dashboard's page ships of npm's packages, by folder below web/."""
    locked = json.loads((CHECKOUT / "web/package-lock.json").read_text())["packages"]
    return {path: package for path, package in locked.items() if path and not package.get("dev")}


def page_name(path: str) -> str:
    return path.removeprefix("node_modules/")


def page_entries() -> list[dict]:
    found = []
    for path, package in page_packages().items():
        name = page_name(path)
        algorithm, digest = package["integrity"].split("-", 1)
        found.append(entry(name, package["version"], f"pkg:npm/{urllib.parse.quote(name)}@{package['version']}",
                           licenseDeclared=package["license"],
                           licenseComments=f"see /usr/share/doc/sobre/{name}/LICENSE in the image",
                           primaryPackagePurpose="LIBRARY", sourceInfo="bundled into the dashboard's page",
                           checksums=[{"algorithm": algorithm.upper(), "checksumValue": base64.b64decode(digest).hex()}]))
    return found


def sbom(programs: list[pathlib.Path], version: str, packages: dict[str, Package], edges: set[tuple[str, str]],
         release: dict[str, str]) -> dict:
    """SPDX 2.3; `edges` are pairs of packages of which the first links the second."""
    architecture = output("dpkg", "--print-architecture").strip()
    sobre = entry("sobre", version, f"pkg:generic/sobre@{version}", licenseConcluded="Apache-2.0", licenseDeclared="Apache-2.0",
                  copyrightText="Copyright the Sobre authors", supplier="Organization: The Sobre authors",
                  primaryPackagePurpose="APPLICATION",
                  sourceInfo="; ".join(f"/usr/bin/{p.name} has the SHA-256 {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in programs))
    page = page_entries()
    debian = [entry(p.name, p.version, p.purl(release), supplier="Organization: Debian", summary=p.summary,
                    primaryPackagePurpose="LIBRARY" if p.name.startswith("lib") else "OTHER",
                    sourceInfo=f"built from Debian's source package {p.source} {p.source_version}",
                    licenseComments=f"see {p.copyright} in the image") for _, p in sorted(packages.items())]

    def related(first: str, kind: str, second: str) -> dict:
        return {"spdxElementId": first, "relationshipType": kind, "relatedSpdxElement": second}

    relationships = [related("SPDXRef-DOCUMENT", "DESCRIBES", sobre["SPDXID"])]
    relationships += [related(sobre["SPDXID"], "CONTAINS", p["SPDXID"]) for p in page]
    relationships += [related(spdx_id(a), "DEPENDS_ON", spdx_id(b)) for a, b in sorted(edges)]
    contents = {"packages": [sobre, *page, *debian], "relationships": relationships}
    digest = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
    created = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    name = f"sobre-{version}-{architecture}"
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
            "documentNamespace": f"https://sobre.dev/sbom/{name}-{digest[:32]}",
            "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
                             "creators": ["Organization: The Sobre authors", "Tool: sobre/image/assemble.py"]}} | contents


def assemble(binaries: pathlib.Path, version: str, out: pathlib.Path) -> None:
    root = Root(out / "root")
    shutil.rmtree(root.folder, ignore_errors=True)
    for folder in ("dev", "proc", "sys", "tmp", "var/lib/sobre", "etc", "usr/bin"):
        (root.folder / folder).mkdir(parents=True)
    root.write("/etc/passwd", USERS)
    root.write("/etc/group", GROUPS)
    root.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")

    programs = {binaries / name: root.path(f"/usr/bin/{name}") for name in PROGRAMS}
    libraries: dict[str, str] = {}
    for built, program in programs.items():
        subprocess.run(["strip", "-o", program, built], check=True)
        libraries |= linked_files(built)
    for path in libraries.values():
        root.copy(path)

    owners = {name: owner(path) for name, path in libraries.items()}
    edges = {("sobre", owners[name]) for built in programs for name in needed(built)}
    edges |= {(owners[name], owners[other]) for name, path in libraries.items() for other in needed(path)}
    # Trusted authorities, and how scanners tell which Debian it is.
    edges |= {("sobre", "ca-certificates"), ("sobre", "base-files")}
    packages = {name: Package(name) for name in {name for pair in edges for name in pair} - {"sobre"}}
    edges = {(a, b) for a, b in edges if a != b}
    root.copy(CA_BUNDLE)
    root.link("/usr/lib/ssl/cert.pem", CA_BUNDLE)  # OpenSSL's own default, for libpq's sslrootcert=system
    root.copy("/etc/os-release")
    for package in packages.values():
        root.copy(package.copyright)
        # As in other images without a package manager: scanners look here.
        root.write(f"/var/lib/dpkg/status.d/{package.name}", package.status)
        root.write(f"/var/lib/dpkg/status.d/{package.name}.md5sums", package.checksums)

    for licence in pathlib.Path("/usr/share/common-licenses").iterdir():
        root.copy(str(licence))  # the copyright files name them
    for name in ("LICENSE", "NOTICE"):
        shutil.copyfile(CHECKOUT / name, root.path(f"/usr/share/doc/sobre/{name}"))
    for path in page_packages():
        shutil.copyfile(CHECKOUT / "web" / path / "LICENSE", root.path(f"/usr/share/doc/sobre/{page_name(path)}/LICENSE"))
    # One hash over thousands of decisions: every architecture and distribution has to come to the same.
    root.write("/usr/share/doc/sobre/decisions.digest", output(binaries / "decide_digest"))
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', pathlib.Path("/etc/os-release").read_text(), re.MULTILINE))
    text = json.dumps(sbom(list(programs.values()), version, packages, edges, release), indent=1) + "\n"
    root.write("/usr/share/sbom/sobre.spdx.json", text)
    (out / "sobre.spdx.json").write_text(text)

    root.set_modes()
    for program in programs.values():
        program.chmod(0o755)
    for path in libraries.values():
        if os.access(path, os.X_OK):
            (root.folder / os.path.realpath(path).lstrip("/")).chmod(0o755)
    (root.folder / "tmp").chmod(0o1777)
    (root.folder / "var/lib/sobre").chmod(0o750)
    shutil.chown(root.folder / "var/lib/sobre", USER_ID, USER_ID)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    assemble(pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]))
