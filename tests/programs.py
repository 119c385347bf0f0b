"""Where the programs stand that tests and measurements start. A variable of the environment says it (SOBRE_BIN, SOBRE_CONTROL_PLANE, …);
without it `./run provide` makes the program and says where it is."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def named(name: str) -> str:
    """The path of the program NAME of `./run provide` (`bin`, `control-plane`, `tools`, …), or several with colons between them. What this
    process starts finds it in its environment."""
    variable = "SOBRE_" + name.upper().replace("-", "_")
    if not os.environ.get(variable):
        made = subprocess.run([ROOT / "run", "provide", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if made.returncode:
            raise RuntimeError(f"{variable} is not set, and ./run provide {name} failed:\n{made.stderr[-4000:]}")
        os.environ[variable] = made.stdout.strip()
    return os.environ[variable]


def sobre() -> str:
    """The program under test."""
    return named("bin")
