"""Storage: what a provisioner does for PersistentVolumeClaims."""
import pathlib
import shutil

from tests.minicluster.watch import Cache


class Provisioner:
    """Gives every claim a volume that is a folder, and takes it away with the claim."""

    def __init__(self, plane, token: str, folder: pathlib.Path) -> None:
        self.plane, self.token, self.folder, self.done = plane, token, folder, set()
        self.claims = self.volumes = None
        self.claims = Cache(plane, token, "/api/v1/persistentvolumeclaims", self._provide)
        self.volumes = Cache(plane, token, "/api/v1/persistentvolumes", self._clean)

    def _provide(self) -> None:
        for claim in self.claims.all() if self.claims else []:
            metadata, spec = claim["metadata"], claim["spec"]
            if claim["status"].get("phase") != "Pending" or metadata["uid"] in self.done:
                continue
            folder = self.folder / metadata["uid"]
            folder.mkdir(parents=True, exist_ok=True)
            self.plane.call("POST", "/api/v1/persistentvolumes", {
                "metadata": {"name": f"pvc-{metadata['uid']}"},
                "spec": {"capacity": {"storage": spec["resources"]["requests"]["storage"]}, "accessModes": spec["accessModes"],
                         "storageClassName": spec.get("storageClassName", ""), "persistentVolumeReclaimPolicy": "Retain",
                         "hostPath": {"path": str(folder)},
                         "claimRef": {key: metadata[key] for key in ("namespace", "name", "uid")}}}, token=self.token)
            self.done.add(metadata["uid"])

    def _clean(self) -> None:
        for volume in self.volumes.all() if self.volumes else []:
            if volume["status"].get("phase") == "Released" and not volume["metadata"].get("deletionTimestamp"):
                self.plane.call("DELETE", f"/api/v1/persistentvolumes/{volume['metadata']['name']}", token=self.token)
                shutil.rmtree(volume["spec"]["hostPath"]["path"], ignore_errors=True)

    def stop(self) -> None:
        self.claims.stopping = self.volumes.stopping = True
