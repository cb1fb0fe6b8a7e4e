import httpx
import pytest


def test_the_root_leads_to_the_docs(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_the_docs_have_all_that_they_need(anonymous: httpx.Client) -> None:
    page = anonymous.get("/docs").raise_for_status()
    assert page.headers["content-type"].startswith("text/html")
    assert "/tone-mapping/auto-correct" in page.text
    for name, kind in (("swagger-ui-bundle.min.js", "javascript"), ("swagger-ui.min.css", "css")):
        assert f"/docs/{name}" in page.text
        file = anonymous.get(f"/docs/{name}").raise_for_status()
        assert kind in file.headers["content-type"]
        assert len(file.content) > 100_000


@pytest.mark.parametrize("path", ["/docs/nothing.js", "/docs/html.py", "/docs/%2e%2e%2fapp.py", "/docs/..%2fapp.py"])
def test_other_files_are_not_served(anonymous: httpx.Client, path: str) -> None:
    assert anonymous.get(path).status_code == 404


def test_the_api_document_is_served(anonymous: httpx.Client) -> None:
    document = anonymous.get("/openapi.json").raise_for_status().json()
    assert document["openapi"].startswith("3.1")


def test_health(anonymous: httpx.Client) -> None:
    health = anonymous.get("/health").raise_for_status().json()
    assert health["status"] == "ok"
    assert {name: part["status"] for name, part in health["dependencies"].items()} == {"mongodb": "ok", "storage": "ok"}
