"""Packs an image's root as an OCI image: a layout in a folder, and the same as one archive that `docker load` reads too.

usage: pack.py OUT VERSION REVISION SOURCE ARCHITECTURE   reads OUT/root; writes OUT/oci and OUT/sobre-VERSION-ARCHITECTURE.tar
"""
import datetime
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import sys
import tarfile

DOCKERFILE = pathlib.Path(__file__).resolve().parent / "Dockerfile"
MEDIA = "application/vnd.oci.image."


def dockerfile_config(variables: dict[str, str]) -> dict:
    """User, entry point and labels as the Dockerfile's last stage states them."""
    stage = DOCKERFILE.read_text().split("\nFROM scratch\n")[1]

    def instructions(name: str) -> list[str]:
        found = re.findall(rf"^{name} (.+)$", stage, re.MULTILINE)
        if not found:
            raise SystemExit(f"pack.py: {DOCKERFILE} has no {name} in its last stage")
        return found

    labels = {}
    for label in instructions("LABEL"):
        key, value = re.fullmatch(r'(\S+)="([^"]*)"', label).groups()
        labels[key] = re.sub(r"\$(\w+)", lambda name: variables[name[1]], value)
    user, entrypoint = instructions("USER")[0], json.loads(instructions("ENTRYPOINT")[0])
    return {"User": user, "Entrypoint": entrypoint, "WorkingDir": "/", "Labels": labels}


def archive(folder: pathlib.Path, seconds: int, names=None) -> bytes:
    """A tar of the folder that depends on its contents alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")) if names is None else [folder / name for name in names]:
            info = tar.gettarinfo(path, str(path.relative_to(folder)))
            info.mtime, info.uname, info.gname = seconds, "", ""
            if info.islnk():
                raise SystemExit(f"pack.py: {path} is a hard link")
            with path.open("rb") if info.isfile() else io.BytesIO() as contents:
                tar.addfile(info, contents)
    return buffer.getvalue()


def blob_name(descriptor: dict) -> str:
    return "blobs/" + descriptor["digest"].replace(":", "/")


class Layout:
    """An OCI image layout with one image."""

    def __init__(self, folder: pathlib.Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.names = folder, []

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.names.append(name)

    def blob(self, media_type: str, data: bytes) -> dict:
        """Its descriptor."""
        descriptor = {"mediaType": media_type, "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}
        self.write(blob_name(descriptor), data)
        return descriptor


def as_json(value) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def pack(out: pathlib.Path, version: str, revision: str, source: str, architecture: str) -> None:
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    created = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    settings = dockerfile_config({"VERSION": version, "REVISION": revision, "SOURCE": source})
    plain = archive(out / "root", seconds)

    layout = Layout(out / "oci")
    layer = layout.blob(MEDIA + "layer.v1.tar+gzip", gzip.compress(plain, 9, mtime=0))
    platform = {"architecture": architecture, "os": "linux"}
    config = layout.blob(MEDIA + "config.v1+json", as_json(platform | {
        "created": created, "config": settings,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
        "history": [{"created": created, "created_by": "image/assemble.py"}]}))
    manifest = layout.blob(MEDIA + "manifest.v1+json", as_json({
        "schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json", "config": config, "layers": [layer],
        "annotations": settings["Labels"]}))
    names = {"io.containerd.image.name": f"docker.io/library/sobre:{version}", "org.opencontainers.image.ref.name": version}
    layout.write("index.json", as_json({"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json",
                                        "manifests": [manifest | {"platform": platform, "annotations": names}]}))
    layout.write("oci-layout", as_json({"imageLayoutVersion": "1.0.0"}))
    # For `docker load` of engines that do not read an OCI layout.
    layout.write("manifest.json", as_json([{"Config": blob_name(config), "RepoTags": [f"sobre:{version}"],
                                            "Layers": [blob_name(layer)]}]))
    (out / f"sobre-{version}-{architecture}.tar").write_bytes(archive(layout.folder, seconds, layout.names))


if __name__ == "__main__":
    if len(sys.argv) != 6:
        raise SystemExit(__doc__)
    pack(pathlib.Path(sys.argv[1]), *sys.argv[2:])
