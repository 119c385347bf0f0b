"""What the API server holds, kept current: the kubelet and the proxy read from here."""
import http.client
import json
import threading

from tests.harness import ControlPlane, trusting

Key = tuple[str, str]  # namespace, name


class Cache(threading.Thread):
    """The objects of one resource, by list and watch; `changed()` is called after every change, in this thread."""

    def __init__(self, plane: ControlPlane, token: str, path: str, changed=lambda: None) -> None:
        super().__init__(daemon=True, name=f"watch {path}")
        self.plane, self.token, self.path, self.changed = plane, token, path, changed
        self.objects: dict[Key, dict] = {}
        self.stopping = False
        self.start()

    def get(self, namespace: str, name: str) -> dict | None:
        return self.objects.get((namespace, name))

    def all(self) -> list[dict]:
        return list(self.objects.values())

    def run(self) -> None:
        while not self.stopping:
            try:
                listed = self.plane.call("GET", self.path, token=self.token)
                self.objects = {self._key(o): o for o in listed["items"]}
                self.changed()
                self._watch(listed["metadata"]["resourceVersion"])
            except (OSError, ValueError, http.client.HTTPException):
                threading.Event().wait(0.2)  # the API server is away, or forgot that version: list again

    def _watch(self, version: str) -> None:
        connection = http.client.HTTPSConnection(self.plane.address, self.plane.api_port, timeout=60, context=trusting())
        try:
            connection.request("GET", f"{self.path}?watch=1&timeoutSeconds=50&resourceVersion={version}",
                               headers={"Authorization": f"Bearer {self.token}"})
            reply = connection.getresponse()
            while not self.stopping and (line := reply.readline()):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                objects = dict(self.objects)
                if event["type"] == "DELETED":
                    objects.pop(self._key(event["object"]), None)
                else:
                    objects[self._key(event["object"])] = event["object"]
                self.objects = objects
                self.changed()
        finally:
            connection.close()

    @staticmethod
    def _key(o: dict) -> Key:
        return o["metadata"].get("namespace", ""), o["metadata"]["name"]
