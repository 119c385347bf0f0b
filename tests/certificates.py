"""Certificates as openssl makes them, and as Kubernetes mounts them."""
import pathlib
import ssl
import subprocess

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Authority:
    """A certificate authority of openssl's, and what it signs."""

    def __init__(self, folder: pathlib.Path, name: str) -> None:
        folder.mkdir()
        self.folder, self.pem, self.key = folder, folder / "ca.pem", folder / "ca.key"
        self._openssl(*CURVE, "-keyout", self.key, "-out", self.pem, "-subj", f"/CN={name}", "-days", "365")

    @staticmethod
    def _openssl(*arguments) -> None:
        subprocess.run(["openssl", "req", "-x509", *map(str, arguments)], check=True, capture_output=True)

    def issue(self, name: str, days: int = 30, alternatives: str = "DNS:localhost") -> tuple[pathlib.Path, pathlib.Path]:
        """The files of a certificate and its key."""
        pem, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self._openssl("-CA", self.pem, "-CAkey", self.key, *CURVE, "-keyout", key, "-out", pem, "-subj", f"/CN={name}",
                      "-days", days, "-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"subjectAltName={alternatives}")
        return pem, key

    def trust(self, client=None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.pem)
        context.set_alpn_protocols(["h2", "http/1.1"])
        if client:
            context.load_cert_chain(*client)
        return context


class Mount:
    """A folder as Kubernetes mounts a Secret: its files lead over a link that is swapped."""

    def __init__(self, folder: pathlib.Path, pem: pathlib.Path, key: pathlib.Path) -> None:
        folder.mkdir()
        self.folder, self.versions = folder, 0
        self.swap(pem, key)
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(pathlib.Path("..data") / name)

    def swap(self, pem: pathlib.Path, key: pathlib.Path) -> None:
        self.versions += 1
        version = self.folder / f"..{self.versions}"
        version.mkdir()
        (version / "tls.crt").write_bytes(pem.read_bytes())
        (version / "tls.key").write_bytes(key.read_bytes())
        (self.folder / "..new").symlink_to(version.name)
        (self.folder / "..new").rename(self.folder / "..data")
