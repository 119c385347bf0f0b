"""Answers of the JSON API held against the examples of docs/api.md."""
import json
import re

from tests.harness import ROOT


def documented(address: str):
    """The example of the documentation."""
    text = (ROOT / "docs" / "api.md").read_text()
    return json.loads(re.search(rf"```json {re.escape(address)}\n(.*?)```", text, re.S)[1])


def check(answer, example, where: str) -> None:
    """The same fields, of the same types; numbers and objects may be null, `{}` stands for what is documented elsewhere."""
    if isinstance(example, dict):
        if answer is not None and example:
            assert isinstance(answer, dict) and answer.keys() == example.keys(), where
            for key in example:
                check(answer[key], example[key], f"{where}.{key}")
    elif isinstance(example, list):
        assert isinstance(answer, list), where
        for item in answer:
            check(item, example[0], where + "[]")
    elif isinstance(example, bool):
        assert isinstance(answer, bool) or answer is None and where.endswith(".followed"), where
    elif isinstance(example, str):
        assert isinstance(answer, str), where
    else:
        assert answer is None or isinstance(answer, (int, float)) and not isinstance(answer, bool), where
