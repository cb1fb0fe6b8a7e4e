"""The recipes that run tests: what they are given, or what is theirs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OTHER = "tests/unit/test_justfile.py"


def collect(recipe: str, *arguments: str) -> set[str]:
    """Return the files whose tests a recipe would run."""
    line = rf'^{recipe} \*arguments:.*\n\t@(?:\w+=\S+ )*pytest (.*) "\$@"$'
    found = re.search(line, (ROOT / "justfile").read_text(), re.MULTILINE)
    assert found, recipe
    # Without conftest.py and plugins, which take seconds to import and collect nothing.
    options = [*shlex.split(found[1]), "--collect-only", "--quiet", "--noconftest", *arguments]
    command = [sys.executable, "-m", "pytest", *options]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return set(re.findall(r"^(tests/\S+\.py)::", done.stdout, re.MULTILINE))


@pytest.mark.parametrize(
    ("recipe", "folder"),
    [
        ("test-browser", "tests/browser"),
        ("test-chaos", "tests/chaos"),
        ("attack", "tests/attack"),
        ("test-sam-local", "tests/sam_local"),
    ],
)
def test_a_recipe_runs_what_it_is_given_or_else_its_own_tests(recipe: str, folder: str) -> None:
    assert collect(recipe, OTHER) == {OTHER}
    own = collect(recipe)
    assert OTHER not in own
    assert any(file.startswith(f"{folder}/") for file in own)
