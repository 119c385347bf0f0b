"""Folders include only what is built before them: scripts/folders.py on this tree, and on small ones where they do not."""
import re
import subprocess
import sys

from scripts import folders
from tests.harness import ROOT


def tree(root, **files):
    (root / "CMakeLists.txt").write_text("add_subdirectory(low)\nadd_subdirectory(high)\n")
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_h", ".h").replace("_cc", ".cc")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    order = folders.order_of(root)
    return folders.backwards(folders.read(root), order)


def test_no_folder_includes_what_is_built_after_it():
    done = subprocess.run([sys.executable, ROOT / "scripts" / "folders.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ +0 .* base +$", done.stdout, re.MULTILINE), done.stdout


def test_an_include_that_runs_backwards_is_named(tmp_path):
    assert tree(tmp_path, low__a_h="#pragma once\n", high__b_cc='#include "low/a.h"\n#include <vector>\n') == []
    assert tree(tmp_path, low__c_cc='#include "high/d.h"\n', high__d_h="#pragma once\n") == [
        "low/c.cc: high/d.h (in low, which is built before high)"]


def test_a_part_is_built_before_the_folder_that_has_it(tmp_path):
    (tmp_path / "high").mkdir()
    (tmp_path / "high" / "CMakeLists.txt").write_text("add_subdirectory(inner)\n")
    assert tree(tmp_path, high__inner__a_h="#pragma once\n", high__b_cc='#include "high/inner/a.h"\n') == []
    assert tree(tmp_path, high__inner__a_cc='#include "high/b.h"\n', high__b_h="#pragma once\n") == [
        "high/inner/a.cc: high/b.h (in high/inner, which is built before high)"]
