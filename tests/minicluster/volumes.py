"""A pod's volumes as folders: written as a kubelet does, and again when what they show has changed."""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import time

from tests.minicluster.watch import Cache

CONTENTS = ("configMap", "secret", "projected", "downwardAPI")  # kinds of volume that show objects; always read-only


class NotYet(Exception):
    """Something that the pod needs is not there; the kubelet tries again."""


class Objects:
    """Where volumes and variables come from."""

    def __init__(self, plane, token: str) -> None:
        self.plane, self.token = plane, token
        self.config_maps = Cache(plane, token, "/api/v1/configmaps")
        self.secrets = Cache(plane, token, "/api/v1/secrets")
        self.claims = Cache(plane, token, "/api/v1/persistentvolumeclaims")
        self.volumes = Cache(plane, token, "/api/v1/persistentvolumes")

    def stop(self) -> None:
        for cache in (self.config_maps, self.secrets, self.claims, self.volumes):
            cache.stopping = True

    def data(self, kind: str, namespace: str, name: str, optional: bool = False) -> dict[str, bytes] | None:
        """The data of a "configmap" or "secret"; None where it is missing and may be."""
        found = (self.config_maps if kind == "configmap" else self.secrets).get(namespace, name)
        if not found:
            if optional:
                return None
            raise NotYet(f'{kind} "{name}" not found')
        if kind == "secret":
            return {k: base64.b64decode(v) for k, v in (found.get("data") or {}).items()}
        return {k: v.encode() for k, v in (found.get("data") or {}).items()} | \
               {k: base64.b64decode(v) for k, v in (found.get("binaryData") or {}).items()}


def field(pod: dict, path: str, address: str) -> str:
    """The value of a fieldRef."""
    metadata = pod["metadata"]
    known = {"metadata.name": metadata["name"], "metadata.namespace": metadata["namespace"], "metadata.uid": metadata["uid"],
             "status.podIP": address, "status.podIPs": address, "status.hostIP": (pod.get("status") or {}).get("hostIP", ""),
             "spec.nodeName": pod["spec"]["nodeName"], "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "")}
    if path in known:
        return known[path]
    for part in ("labels", "annotations"):
        found = metadata.get(part) or {}
        if path == f"metadata.{part}":
            return "\n".join(f"{k}={json.dumps(v)}" for k, v in sorted(found.items()))
        if path.startswith(f"metadata.{part}['"):
            return found.get(path.split("'")[1], "")
    raise ValueError(f"fieldRef {path} is not supported here")


class Volume:
    """One volume of one pod; `folder` is what is mounted."""

    def __init__(self, spec: dict, pod: dict, objects: Objects, folder: pathlib.Path) -> None:
        self.spec, self.pod, self.objects, self.folder = spec, pod, objects, folder
        (self.kind,) = [k for k in spec if k != "name"]
        self.read_only = self.kind in CONTENTS
        self.group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
        self.digest, self.tokens = "", {}
        if self.kind not in CONTENTS + ("emptyDir", "persistentVolumeClaim"):
            raise ValueError(f"volume {spec['name']}: {self.kind} is not supported here")

    def update(self, address: str) -> None:
        """Makes the folder, or brings it up to date."""
        if self.kind == "persistentVolumeClaim":
            self.folder = self._claimed()
        elif self.kind == "emptyDir":
            self.folder.mkdir(parents=True, exist_ok=True)
        if self.read_only:
            self._write(self._files(address))
        elif not self.digest:
            self.digest = "made"
            self.folder.chmod(0o777)
            if self.group is not None:
                os.chown(self.folder, -1, self.group)
                self.folder.chmod(0o2777)

    def _claimed(self) -> pathlib.Path:
        name = self.spec[self.kind]["claimName"]
        claim = self.objects.claims.get(self.pod["metadata"]["namespace"], name)
        volume = self.objects.volumes.get("", claim["spec"].get("volumeName", "")) if claim else None
        if not volume or claim["status"].get("phase") != "Bound":
            raise NotYet(f'persistentvolumeclaim "{name}" is not bound')
        self.read_only = bool(self.spec[self.kind].get("readOnly"))
        return pathlib.Path(volume["spec"]["hostPath"]["path"])

    def _files(self, address: str) -> dict[str, tuple[bytes, int]]:
        """Content and mode by path."""
        content = self.spec[self.kind]
        mode = content.get("defaultMode", 0o644)
        files: dict[str, tuple[bytes, int]] = {}
        for source in content.get("sources") or [{self.kind: content}]:
            for kind, what in source.items():
                files |= self._source(kind, what, mode, address)
        return files

    def _source(self, kind: str, what: dict, mode: int, address: str) -> dict[str, tuple[bytes, int]]:
        namespace, optional = self.pod["metadata"]["namespace"], what.get("optional", False)
        if kind == "serviceAccountToken":
            return {what["path"]: (self._token(what), mode)}
        if kind == "downwardAPI":
            return {i["path"]: (field(self.pod, i["fieldRef"]["fieldPath"], address).encode(), i.get("mode", mode))
                    for i in what["items"]}
        if kind not in ("configMap", "secret"):
            raise ValueError(f"volume {self.spec['name']}: source {kind} is not supported here")
        data = self.objects.data(kind.lower(), namespace, what.get("name") or what.get("secretName"), optional)
        if data is None:
            return {}
        if not what.get("items"):
            return {key: (value, mode) for key, value in data.items()}
        missing = [i["key"] for i in what["items"] if i["key"] not in data]
        if missing and not optional:
            raise NotYet(f"references non-existent {kind.lower()} key: {missing[0]}")
        return {i["path"]: (data[i["key"]], i.get("mode", mode)) for i in what["items"] if i["key"] in data}

    def _token(self, what: dict) -> bytes:
        """A token bound to the pod; a new one after four fifths of its life."""
        token, until = self.tokens.get(what["path"], (b"", 0.0))
        if time.monotonic() > until:
            seconds = what.get("expirationSeconds", 3600)
            metadata = self.pod["metadata"]
            bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
            body = {"spec": {"audiences": [what["audience"]] if what.get("audience") else [], "expirationSeconds": seconds,
                             "boundObjectRef": bound}}
            path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{self.pod['spec']['serviceAccountName']}/token"
            answer = self.objects.plane.call("POST", path, body, token=self.objects.token)
            token = answer["status"]["token"].encode()
            self.tokens[what["path"]] = token, time.monotonic() + 0.8 * seconds
        return token

    def _write(self, files: dict[str, tuple[bytes, int]]) -> None:
        """All at once for readers: a new folder, to which the link ..data is swung."""
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
        if digest == self.digest:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / f"..{digest[:16]}"
        new.mkdir()
        for path, (content, mode) in files.items():
            file = new / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(mode)
        if self.group is not None:
            for path in (self.folder, new, *new.rglob("*")):
                os.chown(path, -1, self.group)
                path.chmod(path.stat().st_mode | (0o2550 if path.is_dir() else 0o440))
        link, old = self.folder / "..data", None
        if link.is_symlink():
            old = self.folder / os.readlink(link)
        (self.folder / "..data_tmp").symlink_to(new.name)
        (self.folder / "..data_tmp").rename(link)
        tops = {path.split("/")[0] for path in files}
        for top in tops:
            if not (self.folder / top).is_symlink():
                (self.folder / top).symlink_to(f"..data/{top}")
        for path in self.folder.iterdir():
            if not path.name.startswith("..") and path.name not in tops:
                path.unlink()
        if old:
            shutil.rmtree(old)
        self.digest = digest
