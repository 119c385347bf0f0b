"""What the corpora of tests/fuzz began with: the inputs of the unit tests and the documents, by target.

usage: python3 -m tests.fuzz.seeds PROGRAM FOLDER

PROGRAM is fuzz_seeds, which writes what is no text; FOLDER gets a folder for each target.
"""
import itertools
import json
import pathlib
import re
import subprocess
import sys

import yaml

from tests import test_footprint

ROOT = pathlib.Path(__file__).parents[2]


def raw_strings(*sources: str) -> list[str]:
    """The raw string literals of C++ sources; those that follow each other directly are one."""
    texts = []
    for source in sources:
        text = (ROOT / source).read_text()
        for run in re.findall(r'(?:R"\((?:.*?)\)"\s*)+', text, re.S):
            texts.append("".join(re.findall(r'R"\((.*?)\)"', run, re.S)))
    return texts


def blocks(document: str) -> list[str]:
    return re.findall(r"```yaml[^\n]*\n(.*?)```", (ROOT / document).read_text(), re.S)


def extender_json() -> list[str]:
    parts = [text for text in raw_strings("k8s/json_objects_test.cc", "extender/service_test.cc") if text.startswith("{")]
    pods = [text for text in parts if '"containers"' in text and text.endswith("}") and '"Pod"' not in text]
    node = next(text for text in parts if '"kind":"Node"' in text)
    texts = parts[:]
    for pod in pods:
        for names in ('["a","b","c"]', '["a","b\\u002dx"]', "[]"):
            texts.append('{"Pod":%s,"Nodes":null,"NodeNames":%s}' % (pod, names))
    items = ",".join([node, '{"metadata":{"name":"a"}}', '{"metadata":{"name":"b"}}'])
    limits = {"allowed-countries": "FR", "max-eur-per-unit": "0.1", "required-certifications": "HDS", "mode": "shadow", "bad": "x"}
    for namespace, size in itertools.product(("law", "off", "shop"), range(len(limits) + 1)):
        annotations = {"sobre.dev/" + key: value for key, value in list(limits.items())[:size]}
        pod = json.dumps({"metadata": {"name": "p", "namespace": namespace, "uid": "u", "annotations": annotations}, "spec": {}})
        texts.append('{"Pod":%s,"NodeNames":["a","b","stranger"]}' % pod)
        texts.append('{"Pod":%s,"Nodes":{"metadata":{},"items":[%s]}}' % (pod, items))
        victims = {name: {"Pods": [{"UID": uid} for uid in uids], "NumPDBViolations": len(uids)} for name, uids in
                   (("a", ["1", "2"]), ("b", ["3"]), ("stranger", ["4"]), ("c", []))}
        whole = {name: told | {"Pods": [{"metadata": {"name": "v", "uid": pod["UID"]}, "spec": {}} for pod in told["Pods"]]} for name, told in victims.items()}
        texts.append('{"Pod":%s,"NodeNameToVictims":null,"NodeNameToMetaVictims":%s}' % (pod, json.dumps(victims)))
        texts.append('{"Pod":%s,"NodeNameToVictims":%s,"NodeNameToMetaVictims":null}' % (pod, json.dumps(whole)))
    return texts


def annotations() -> list[str]:
    texts = []
    for source in ("scoring/policy_test.cc", "scoring/limits_test.cc", "scoring/deferral_test.cc", "docs/annotations.md"):
        text = (ROOT / source).read_text()
        pairs = re.findall(r'\{"([a-z0-9-]+)", "([^"\\]*)"\}', text) + re.findall(r'sobre\.dev/([a-z0-9-]+): "?([^"\n#]*)', text)
        for first, second in zip(pairs, pairs[1:] + pairs[:1]):
            texts.append("\0".join([*first, *second]))
            texts.append("\0".join([*first, "enforced", first[0], "", *second, *first]))
            texts.append("\0".join(["mode", "shadow", *first, "enforced", first[0], "", "mode", "off", *second]))
    return texts


def configuration() -> list[str]:
    texts = [text for text in raw_strings("extender/config_test.cc") if ":" in text]
    for document in sorted((ROOT / "docs").glob("*.md")):
        texts += blocks(f"docs/{document.name}")
    for rendered in sorted((ROOT / "tests/golden/chart").glob("*.yaml")):
        for resource in yaml.safe_load_all(rendered.read_text()):
            if resource and resource["kind"] == "ConfigMap":
                texts += [text for name, text in resource.get("data", {}).items() if name.endswith(".yaml")]
    return texts


def prometheus() -> list[str]:
    sources = ("signals/vector_reader_test.cc", "signals/prometheus_test.cc", "signals/collector_test.cc")
    return [text for text in raw_strings(*sources) if text.startswith("{")]


def footprint() -> list[str]:
    documents = [case[0] for case in test_footprint.test_examples.pytestmark[0].args[1]]
    documents += [case[0] for case in test_footprint.test_mistakes_are_named_by_their_path.pytestmark[0].args[1]]
    return [text if isinstance(text, str) else json.dumps(text) for text in documents]


def offers() -> list[str]:
    return [text for text in blocks("docs/compare.md") + raw_strings("extender/compare.cc") if "offers:" in text]


def main() -> None:
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    for target in (extender_json, annotations, configuration, prometheus, footprint, offers):
        (folder / target.__name__).mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(target()):
            (folder / target.__name__ / f"seed-{number}").write_bytes(text.encode())
    subprocess.run([program, str(folder)], check=True)


if __name__ == "__main__":
    main()
