"""Runs a program in a container: `enter.py start SPEC`, called as root in new mount and PID namespaces, makes it;
`enter.py exec SPEC PID COMMAND…` runs another beside its process PID.

SPEC is a JSON file that Container.start() writes. This file runs by itself: it imports nothing of the tests.
"""
import ctypes
import json
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
libc = ctypes.CDLL("libc.so.6", use_errno=True)


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


def inside(root: str, path: str) -> str:
    """Where `path` is under `root`, links followed as for a process whose root that is."""
    found, left = [], path.split("/")[::-1]
    while left:
        part = left.pop()
        here = os.path.join(root, *found, part)
        if part in ("", "."):
            continue
        if part == "..":
            found = found[:-1]
        elif os.path.islink(here):
            link = os.readlink(here)
            found = [] if link.startswith("/") else found
            left += link.split("/")[::-1]
        else:
            found.append(part)
    return os.path.join(root, *found)


def bind(root: str, source: str, target: str, read_only: bool) -> None:
    place = inside(root, target)
    if os.path.isdir(source):
        os.makedirs(place, exist_ok=True)
    elif not os.path.exists(place):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        open(place, "w").close()
    mount("--bind", source, place)
    if read_only:
        mount("-o", "remount,bind,ro", place)


def link(root: str, path: str, to: str) -> None:
    os.makedirs(inside(root, os.path.dirname(path)), exist_ok=True)
    place = os.path.join(inside(root, os.path.dirname(path)), os.path.basename(path))
    if os.path.lexists(place):
        os.unlink(place)
    os.symlink(to, place)


def make_root(spec: dict) -> str:
    """The image under a layer in memory, which goes with the mount namespace."""
    scratch = spec["scratch"]
    mount("-t", "tmpfs", "-o", "mode=755", "scratch", scratch)
    root, upper, work = (os.path.join(scratch, name) for name in ("root", "upper", "work"))
    for path in (root, upper, work):
        os.mkdir(path)
    mount("-t", "overlay", "-o", f"lowerdir={spec['image_root']},upperdir={upper},workdir={work}", "overlay", root)
    for path in ("proc", "dev", "tmp"):
        os.makedirs(inside(root, path), exist_ok=True)
    mount("-t", "proc", "proc", inside(root, "proc"))
    mount("-t", "tmpfs", "-o", "mode=755", "dev", inside(root, "dev"))
    for name in DEVICES:
        bind(root, f"/dev/{name}", f"/dev/{name}", False)
    for name, to in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        link(root, f"/dev/{name}", f"/proc/self/fd{to}")
    # A folder, not a file: names are replaced at once when the file is.
    bind(root, spec["names"], "/etc/minicluster", True)
    link(root, "/etc/hosts", "/etc/minicluster/hosts")
    link(root, "/etc/resolv.conf", "/etc/minicluster/resolv.conf")
    for source, target, read_only in spec["mounts"]:
        bind(root, source, target, read_only)
    if spec["read_only"]:
        mount("-o", "remount,bind,ro", root)
    return root


def prctl(option: int, value: int) -> None:
    if libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option} {value}")


def become(spec: dict, command: list[str], begun=None) -> None:
    """The rights and the user of the container, then its program; the root is the container's already. Tells `begun` before."""
    with open("/proc/sys/kernel/cap_last_cap") as last:
        capabilities = range(int(last.read()) + 1)
    for capability in capabilities:
        if capability not in spec["capabilities"]:
            prctl(PR_CAPBSET_DROP, capability)
    os.setgroups(spec["groups"])
    os.setgid(spec["gid"])
    os.setuid(spec["uid"])
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user forgets it
    if spec["no_new_privileges"]:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    os.chdir(spec["folder"])
    os.environ.clear()
    os.environ.update(spec["environment"])
    if begun:
        begun.write("yes")
        begun.flush()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error}")


def join(pid: str) -> None:
    """The namespaces and the root of a process."""
    root = os.open(f"/proc/{pid}/root", os.O_RDONLY)
    spaces = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("uts", "ipc", "net", "pid", "mnt")]
    for space in spaces:
        if libc.setns(space, 0):
            raise OSError(ctypes.get_errno(), f"the container's namespaces, process {pid}")
    os.fchdir(root)
    os.chroot(".")
    child = os.fork()  # only a child is in the PID namespace
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    with open(sys.argv[2]) as file:
        spec = json.load(file)
    os.umask(0o022)
    if sys.argv[1] == "exec":
        join(sys.argv[3])
        become(spec, sys.argv[4:])
    else:
        begun = open(spec["begun"], "w")
        os.chroot(make_root(spec))
        become(spec, spec["command"], begun)


if __name__ == "__main__":
    main()
