"""Every version is pinned once, with hashes, and is what pyproject.toml asks for."""

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FILES = {
    "core": ROOT / "layers/core_dependencies/requirements.txt",
    "imaging": ROOT / "layers/imaging_dependencies/requirements.txt",
    "passwords": ROOT / "functions/auth/register_user/requirements.txt",
    "openai": ROOT / "layers/openai_dependencies/requirements.txt",
    "web": ROOT / "functions/web/serve_pages/requirements.txt",
    "container": ROOT / "statemachines/run_task/container/requirements.txt",
    "export": ROOT / "statemachines/minimatics_export/container/requirements.txt",
    "dev": ROOT / "requirements-dev.txt",
}
CORE = {"annotated-types", "pydantic", "pydantic-core", "typing-extensions", "typing-inspection"}
RUNTIME = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z0-9,._-]+\])?==(\S+)", path.read_text(), re.MULTILINE))


def group(name: str) -> list[Requirement]:
    groups: dict[str, list[Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    found = []
    for item in groups[name]:
        found += group(item["include-group"]) if isinstance(item, dict) else [Requirement(item)]
    return found


@pytest.mark.parametrize("name", FILES)
def test_the_file_satisfies_its_group(name: str) -> None:
    pinned = pins(FILES[name])
    assert pinned
    for requirement in group(name):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}, but {version} is pinned: run just lock"


@pytest.mark.parametrize("name", ["core", "imaging", "passwords", "openai", "web", "container", "export"])
def test_development_has_the_versions_that_are_deployed(name: str) -> None:
    development = pins(FILES["dev"])
    assert {package: development.get(package) for package in pins(FILES[name])} == pins(FILES[name])


@pytest.mark.parametrize("name", FILES)
def test_every_pin_has_hashes_and_no_address(name: str) -> None:
    text = FILES[name].read_text()
    for pin in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in pin, pin.splitlines()[0]
    assert "://" not in text


def test_a_layer_has_nothing_that_the_runtime_brings() -> None:
    for name in ("core", "imaging", "passwords", "openai", "web"):
        assert not pins(FILES[name]).keys() & RUNTIME


def test_a_layer_has_nothing_that_the_core_layer_brings() -> None:
    core = pins(FILES["core"]).keys()
    assert core >= CORE
    for name in ("imaging", "openai"):
        assert not pins(FILES[name]).keys() & core


def needed(requirements: list[Requirement]) -> set[str]:
    """Names of everything that some requirements bring, as the installed packages tell."""
    found: set[str] = set()
    queue = [(requirement, frozenset(requirement.extras)) for requirement in requirements]
    seen = set()
    while queue:
        requirement, extras = queue.pop()
        name = canonicalize_name(requirement.name)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        for text in importlib.metadata.requires(name) or []:
            child = Requirement(text)
            environments: list[dict[str, str]] = [{"extra": extra} for extra in ("", *extras)]
            if child.marker is None or any(child.marker.evaluate(environment) for environment in environments):
                queue.append((child, frozenset(child.extras)))
    return found


def test_a_container_has_what_the_layers_and_the_runtime_bring() -> None:
    layers = pins(FILES["core"]) | pins(FILES["imaging"])
    container = pins(FILES["container"])
    assert layers.items() <= container.items()
    assert container.keys() - layers.keys() == RUNTIME


def test_the_container_of_exports_has_more_than_that_of_any_task() -> None:
    assert pins(FILES["container"]).items() <= pins(FILES["export"]).items()
    assert {"av", "fontpkg-noto-sans"} <= pins(FILES["export"]).keys() - pins(FILES["container"]).keys()


@pytest.mark.parametrize("name", ["core", "imaging", "passwords", "openai", "web", "container", "export"])
def test_every_pin_is_still_needed(name: str) -> None:
    """A package that nothing asks for any longer would stay in the layer."""
    assert pins(FILES[name]).keys() <= needed(group(name))
    brought = RUNTIME | (CORE if name == "openai" else set())
    assert needed(group(name)) - pins(FILES[name]).keys() <= brought
