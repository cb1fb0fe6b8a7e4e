"""The documentation in a real Chromium, cut off from every other address."""

import re
import subprocess
from pathlib import Path

import httpx
import pytest

from local.stack import Stack

_METHODS = ("get", "post", "put", "delete", "patch")


@pytest.fixture(scope="module")
def page(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what /docs has become once its scripts have run."""
    return browse(f"{stack.url}/docs", tmp_path_factory.mktemp("chromium"))


def browse(url: str, profile: Path) -> str:
    """Return a page's elements as HTML once its scripts have come to rest."""
    answer = subprocess.run(
        [
            "chromium",
            "--headless",
            "--no-sandbox",  # root cannot have it
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=30000",
            "--dump-dom",
            url,
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    return answer.stdout


def test_every_operation_is_shown(stack: Stack, page: str) -> None:
    document = httpx.get(f"{stack.url}/openapi.json").raise_for_status().json()
    told = {(method, path) for path, item in document["paths"].items() for method in item if method in _METHODS}
    shown = re.findall(r'class="opblock opblock-(\w+)".*?data-path="([^"]+)"', page)
    assert len(told) > 30
    assert set(shown) == told


def test_a_key_can_be_given(page: str) -> None:
    assert re.search(r'class="btn authorize[^"]*"', page)


def test_nothing_failed_to_load(page: str) -> None:
    assert "errors-wrapper" not in page
    assert "Failed to load" not in page
