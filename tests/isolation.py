"""What this machine refuses of what isolates programs: a plain container may not unshare, mount or make a bridge, nor may a
chroot whose root is no mount point unshare mounts. `python3 -m tests.isolation` prints each refusal; it takes well under a second."""
import functools
import os
import subprocess
import tempfile

# Each is tried once, in namespaces or under names that go with the attempt. The names are those of fixtures in tests/conftest.py.
MOUNTS = ["sh", "-ec", 'mount -t tmpfs -o size=4k tmpfs "$0"; umount "$0"']
NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", 'mount -t tmpfs tmpfs "$0"; mount --bind "$0" "$0"']
CONTAINERS = ["sh", "-ec", """
    unshare --mount --net --uts --ipc --pid --fork --kill-child sh -ec '
      mount -t tmpfs tmpfs "$0"; mkdir "$0/upper" "$0/work" "$0/root"
      mount -t overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" overlay "$0/root"; mount -t proc proc "$0/root/proc"' "$0"
    ip link add "$1" type bridge; ip link delete "$1"
    """]
ATTEMPTS = {"mounts": MOUNTS, "namespaces": NAMESPACES, "containers": CONTAINERS}
NEEDED_FOR = {"mounts": "mounting a disk", "namespaces": "entering a root in namespaces of its own",
              "containers": "running pods in namespaces behind a bridge"}


@functools.cache
def refusals() -> dict[str, str]:
    """By fixture, why the tests that ask for it cannot run here; nothing for what is allowed."""
    found = {}
    for name, attempt in ATTEMPTS.items():
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([*attempt, folder, f"try{os.getpid()}"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[0].replace(folder, "a folder")
            found[name] = f"{NEEDED_FOR[name]} is refused here ({said})"
    return found


if __name__ == "__main__":
    for reason in refusals().values():
        print(reason)
