"""What `just build` made must fit Lambda: its size, its glibc and its read-only /opt."""

import re
import subprocess
from pathlib import Path

from local.template import Template

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".aws-sam/build"

# Lambda's own limit is 262,144,000 bytes; the rest is room for the code that a release adds.
MAX_UNPACKED_BYTES = 255_000_000
# Amazon Linux 2, which Lambda's python3.11 runs on.
NEWEST_SYMBOLS = {"GLIBC": (2, 26), "GLIBCXX": (3, 4, 24)}


def read_template() -> Template:
    path = BUILD / "template.yaml"
    assert path.exists(), "nothing is built: run `just build` first"
    return Template(path, {"MongoDbSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:unused"})


def list_layers() -> list[Path]:
    layers = read_template().resources("AWS::Serverless::LayerVersion")
    assert len(layers) >= 3
    return [BUILD / layer["ContentUri"] for layer in layers.values()]


def measure(folder: Path) -> int:
    assert folder.is_dir()
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_layers_and_function_fit_lambda() -> None:
    sizes = {
        function.name: sum(map(measure, [function.folder, *function.layers]))
        for function in read_template().functions()
    }
    largest = max(sizes, key=lambda name: sizes[name])
    assert sizes[largest] <= MAX_UNPACKED_BYTES, f"{largest} and its layers: {sizes[largest]:,} bytes"


def test_libraries_load_on_amazon_linux_2() -> None:
    libraries = [path for layer in list_layers() for path in layer.rglob("*.so*")]
    assert libraries
    too_new = []
    for library in libraries:
        headers = subprocess.run(["objdump", "-p", library], check=True, capture_output=True, text=True).stdout
        for kind, version in re.findall(r"\b(GLIBC|GLIBCXX)_([0-9.]+)", headers.partition("Version References:")[2]):
            if tuple(map(int, version.split("."))) > NEWEST_SYMBOLS[kind]:
                too_new.append(f"{library.name}: {kind}_{version}")
    assert not too_new


def test_every_module_is_compiled() -> None:
    modules = [path for layer in list_layers() for path in layer.rglob("*.py")]
    assert modules
    missing = [path for path in modules if not (path.parent / f"__pycache__/{path.stem}.cpython-311.pyc").exists()]
    assert not missing


def test_pruned_libraries_still_work() -> None:
    python_path = ":".join([*(f"/layers/{layer.name}/python" for layer in list_layers()), "/var/runtime"])
    script = Path(__file__).with_name("exercise_layers.py")
    command = ["docker", "run", "--rm", "--network", "host", "--env", f"PYTHONPATH={python_path}"]
    command += ["--volume", f"{BUILD}:/layers:ro", "--volume", f"{script}:/script.py:ro", "--entrypoint", "python3.11"]
    command += ["public.ecr.aws/lambda/python:3.11-x86_64", "/script.py"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert "every library works" in finished.stdout
