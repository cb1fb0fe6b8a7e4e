"""What a function may import: its own folder, its layers, the runtime; nothing of the development environment."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from uv import find_uv_bin

from local.template import FunctionResource

ROOT = Path(__file__).resolve().parent.parent
INSTALLED = ROOT / ".local" / "layers"


def import_path(function: FunctionResource) -> list[Path]:
    """Return the folders that a function imports from, in Lambda's order; later layers lie on top of earlier ones."""
    layers = [folder for layer in reversed(function.layers) for folder in _layer(layer)]
    return [function.folder, *_own_requirements(function.folder), *layers, runtime()]


def container_path(folder: Path) -> list[Path]:
    """Return the folders that a Batch job's container imports from; a Dockerfile beside its requirements makes it."""
    return [ROOT / "layers/studio/python", *_own_requirements(folder)]


def runtime() -> Path:
    """Return the folder of what Amazon's Python runtime brings by itself."""
    pyproject, versions = ROOT / "pyproject.toml", ROOT / "requirements-dev.txt"
    return _installed("runtime", [pyproject, versions], ["--group", f"{pyproject}:runtime", "--constraint", versions])


def _layer(folder: Path) -> list[Path]:
    code = folder / "python"
    return [*([code] if code.is_dir() else []), *_own_requirements(folder)]


def _own_requirements(folder: Path) -> list[Path]:
    requirements = folder / "requirements.txt"
    if not requirements.exists():
        return []
    # The file is complete but for what the runtime brings.
    arguments: list[str | Path] = ["--requirement", requirements, "--require-hashes", "--no-deps"]
    return [_installed(folder.name, [requirements], arguments)]


def _installed(name: str, inputs: Sequence[Path], arguments: Sequence[str | Path]) -> Path:
    """Return the folder that holds a set of packages, installed when what it is made from has changed."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in inputs)).hexdigest()[:12]
    folder = INSTALLED / f"{name}-{digest}" / "python"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Made aside and moved into place whole: two stacks may start at once, and either may be stopped half-way.
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch, "python")
            print(f"installing {name}", file=sys.stderr, flush=True)
            install = [find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable]
            subprocess.run([*install, "--compile-bytecode", "--target", made, *arguments], check=True, cwd=ROOT)
            try:
                os.rename(made, folder)
            except OSError:
                if not folder.exists():
                    raise
    return folder
