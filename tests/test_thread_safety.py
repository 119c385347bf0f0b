"""Clang follows every lock: base/mutex.h says how, ./run lint does it for all sources. Here: that it would find a mistake."""
import re
import subprocess

import pytest

from tests.harness import ROOT

PREFIX = """
#include "base/mutex.h"
class Counter {
 public:
"""
SUFFIX = """
 private:
  sobre::Mutex mutex_;
  sobre::ConditionVariable wake_;
  int count_ SOBRE_GUARDED_BY(mutex_) = 0;
};
"""
RIGHT = {
    "under the lock": "void Add() { const sobre::MutexLock lock(mutex_); ++count_; wake_.NotifyAll(); }",
    "by who holds it": "void AddLocked() SOBRE_REQUIRES(mutex_) { ++count_; }\nvoid Add() { const sobre::MutexLock lock(mutex_); AddLocked(); }",
    "let go and taken again": "void Add() { sobre::MutexLock lock(mutex_); lock.Unlock(); lock.Lock(); ++count_; }",
    "waited for": "void Wait() { sobre::MutexLock lock(mutex_); wake_.Wait(lock, [this]() SOBRE_REQUIRES(mutex_) { return count_ > 0; }); --count_; }",
}
WRONG = {
    "written without the lock": "void Add() { ++count_; }",
    "read without the lock": "int Get() const { return count_; }",
    "after it was let go": "void Add() { sobre::MutexLock lock(mutex_); lock.Unlock(); ++count_; }",
    "by a function that wants it": "void AddLocked() SOBRE_REQUIRES(mutex_) { ++count_; }\nvoid Add() { AddLocked(); }",
    "by a condition that does not say so": "void Wait() { sobre::MutexLock lock(mutex_); wake_.Wait(lock, [this] { return count_ > 0; }); }",
    "taken twice": "void Add() { const sobre::MutexLock lock(mutex_); const sobre::MutexLock again(mutex_); ++count_; }",
}


def compiled(tmp_path, body: str) -> subprocess.CompletedProcess:
    """By clang-tidy with the project's own rules."""
    source = tmp_path / "counter.cc"
    source.write_text(PREFIX + body + SUFFIX)
    return subprocess.run(["clang-tidy", f"--config-file={ROOT / '.clang-tidy'}", "--quiet", source, "--", "-std=c++20", f"-I{ROOT}"],
                          capture_output=True, text=True)


@pytest.mark.parametrize("body", RIGHT.values(), ids=RIGHT)
def test_what_holds_the_lock_passes(tmp_path, body):
    result = compiled(tmp_path, body)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_what_does_not_is_refused(tmp_path, body):
    result = compiled(tmp_path, body)
    assert result.returncode != 0
    assert "clang-diagnostic-thread-safety" in result.stdout, result.stdout + result.stderr


def test_every_lock_is_one_that_clang_can_follow():
    sources = subprocess.run(["git", "ls-files", "*.cc", "*.h"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    own = [name for name in sources if not name.endswith("_test.cc") and not name.startswith("tests/") and name != "base/mutex.h"]
    assert len(own) > 100
    found = []
    for name in own:
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            if re.search(r"std::(mutex|shared_mutex|recursive_mutex|timed_mutex|lock_guard|unique_lock|scoped_lock|condition_variable)|no_thread_safety_analysis", line):
                found.append(f"{name}:{number}: {line.strip()}")
    assert not found, "\n".join(found)
