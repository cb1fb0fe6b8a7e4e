"""What the guides name is there: links, headings, recipes, tests, and every route in README's table."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from local.gateway import MAX_EVENT_BYTES

ROOT = Path(__file__).parents[2]
GUIDES = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob(".github/*.md")])
OPENAPI = ROOT / "functions/web/serve_pages/openapi.json"
PAGES = {"GET /docs", "GET /openapi.json"}  # of the web function, which describes itself nowhere


def anchors(guide: Path) -> set[str]:
    """Return the ids that GitHub gives to a guide's headings."""
    headings = re.findall(r"^#+ (.+)$", guide.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def name(guide: Path) -> str:
    return str(guide.relative_to(ROOT))


@pytest.mark.parametrize("guide", GUIDES, ids=name)
def test_links_lead_somewhere(guide: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", guide.read_text()):
        if not re.match("https?://", target):
            path, _, anchor = unquote(target).partition("#")
            found = guide.parent / path if path else guide
            assert found.exists(), target
            assert not anchor or anchor in anchors(found), target


@pytest.mark.parametrize("guide", GUIDES, ids=name)
def test_recipes_and_tests_exist(guide: Path) -> None:
    text = guide.read_text()
    recipes = set(re.findall(r"^([a-z-]+)[^:=\n]*:(?!=)", (ROOT / "justfile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^ {4}|`|bin/)just ([a-z][a-z-]*)", text, re.MULTILINE)) <= recipes
    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


def test_the_largest_request_is_the_one_that_gets_through() -> None:
    told = [
        re.findall(r"larger than (\d+) MB, which is Lambda's", (ROOT / "functions/README.md").read_text()),
        re.findall(r"a request over (\d+) MB 413", json.loads(OPENAPI.read_text())["info"]["description"]),
    ]
    assert told == [[str(MAX_EVENT_BYTES // 1_000_000)]] * 2


def test_readme_lists_every_route() -> None:
    rows = re.findall(r"^\| (`.+?`) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    listed = [
        f"{method} {path}"
        for row in rows
        for methods, path in re.findall(r"`([A-Z ]+) (/[^`]*)`", row)
        for method in methods.split()
    ]
    documented = {
        f"{method.upper()} {path}" for path, item in json.loads(OPENAPI.read_text())["paths"].items() for method in item
    }
    assert sorted(listed) == sorted(documented | PAGES)
