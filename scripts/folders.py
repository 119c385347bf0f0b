"""Draws which folder includes which, and fails where one includes a folder that is built after it.

usage: python3 scripts/folders.py [--dot]

The order of the folders is the order of add_subdirectory() in the CMake files, from the ground up. Prints a table: a folder's floor (0 includes
no other folder), its share of all lines, and the folders it includes. With --dot a graph for Graphviz.
"""
import dataclasses
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
ADDED = re.compile(r"^\s*add_subdirectory\((\S+)\)", re.MULTILINE)


@dataclasses.dataclass
class Folder:
    lines: int = 0
    # Each folder that is included, with the places ("file: header") where.
    uses: dict[str, list[str]] = dataclasses.field(default_factory=dict)


def order_of(root: pathlib.Path, folder: str = "") -> list[str]:
    """The folders below `folder` in the order in which they are built; one that has parts comes after its parts."""
    cmake = root / folder / "CMakeLists.txt"
    found = []
    for name in ADDED.findall(cmake.read_text()) if cmake.exists() else []:
        below = f"{folder}/{name}" if folder else name
        found += [*order_of(root, below), below]
    return found


def read(root: pathlib.Path) -> dict[str, Folder]:
    """The folders that have sources; headers of the system and of libraries count for none."""
    folders: dict[str, Folder] = {}
    built = order_of(root)
    sources = [path for folder in {name.split("/")[0] for name in built} for path in (root / folder).rglob("*") if path.suffix in (".cc", ".h")]
    home = {}
    for path in sources:
        place = path.parent.relative_to(root).as_posix()
        # A folder without targets of its own belongs to the one above it.
        while place not in built and "/" in place:
            place = place.rpartition("/")[0]
        home[path.relative_to(root).as_posix()] = place
    for path in sources:
        name = path.relative_to(root).as_posix()
        text = path.read_text()
        folder = folders.setdefault(home[name], Folder())
        folder.lines += text.count("\n")
        for header in INCLUDE.findall(text):
            # protoc's headers are made while building.
            target = home.get(header) or (header.split("/")[0] if header.endswith(".pb.h") else None)
            if target and target != home[name]:
                folder.uses.setdefault(target, []).append(f"{name}: {header}")
    return folders


def backwards(folders: dict[str, Folder], order: list[str]) -> list[str]:
    """Each include that runs against the order, as a sentence."""
    number = {name: n for n, name in enumerate(order)}
    return [f"{place} (in {name}, which is built before {target})"
            for name, folder in folders.items() for target, places in folder.uses.items() if number[target] > number[name] for place in places]


def floors(folders: dict[str, Folder], order: list[str]) -> dict[str, int]:
    """How many folders stand below each, one upon the other; meaningful where nothing runs backwards."""
    floor: dict[str, int] = {}
    for name in (n for n in order if n in folders):
        floor[name] = 1 + max((floor.get(target, -1) for target in folders[name].uses), default=-1)
    return floor


def table(folders: dict[str, Folder], order: list[str]) -> str:
    total = sum(folder.lines for folder in folders.values())
    rows = [f"{'floor':>5}  {'share':>5}  {'folder':<24}includes"]
    for name, floor in sorted(floors(folders, order).items(), key=lambda item: (item[1], item[0])):
        rows.append(f"{floor:>5}  {folders[name].lines / total:>5.0%}  {name:<24}{' '.join(sorted(folders[name].uses))}")
    return "\n".join(rows)


def dot(folders: dict[str, Folder]) -> str:
    arrows = [f'  "{name}" -> "{target}" [label={len(places)}];' for name, folder in folders.items() for target, places in folder.uses.items()]
    return "\n".join(["digraph folders {", "  rankdir=BT;", *sorted(arrows), "}"])


def main(arguments: list[str]) -> int:
    if set(arguments) - {"--dot"}:
        print(__doc__, file=sys.stderr)
        return 2
    root = pathlib.Path(__file__).resolve().parent.parent
    folders, order = read(root), order_of(root)
    print(dot(folders) if arguments else table(folders, order))
    wrong = backwards(folders, order)
    for sentence in wrong:
        print(f"backwards: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
