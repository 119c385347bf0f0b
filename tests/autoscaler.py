"""The Cluster Autoscaler's side of its gRPC expander, by the Go client in tests/e2e/expander."""
import json
import pathlib
import subprocess

from tests import programs


def option(group: str, template: dict | None, pods: list[dict], count: int = 1, copies: int = 1) -> dict:
    return {"group": group, "count": count, "debug": "", "node": template, "pods": pods, "copies": copies}


def ask(address: str, authority: pathlib.Path, questions, name: str = "") -> list[dict]:
    """The answers to {shape, options}; `name` is what the certificate is for, if not the address."""
    done = subprocess.run([programs.named("expander-client"), "--address", address, "--ca", authority, "--name", name],
                          input="".join(json.dumps(q) + "\n" for q in questions), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(questions)
    return answers
