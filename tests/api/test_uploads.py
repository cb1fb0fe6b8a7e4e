from typing import Any

import httpx
import pytest


def start(user: Any, **fields: Any) -> dict[str, Any]:
    body = {"content_type": "image/jpeg", **fields}
    form: dict[str, Any] = user.http.post("/uploads", json=body).raise_for_status().json()
    return form


def send(form: dict[str, Any], data: bytes, **changes: str) -> httpx.Response:
    return httpx.post(form["url"], data=form["fields"] | changes, files={"file": data})


def test_an_upload_is_sent_listed_and_deleted(user: Any) -> None:
    form = start(user)
    assert user.http.get("/uploads").json() == {"items": [], "next_cursor": None}
    assert send(form, b"bytes").is_success
    [item] = user.http.get("/uploads").json()["items"]
    assert (item["upload_id"], item["image_key"], item["size_bytes"]) == (form["upload_id"], form["image_key"], 5)
    assert user.http.delete(f"/uploads/{form['upload_id']}").status_code == 204
    assert user.http.get("/uploads").json()["items"] == []
    assert user.http.delete(f"/uploads/{form['upload_id']}").status_code == 404


def test_pages(user: Any) -> None:
    sent = []
    for _ in range(5):
        form = start(user)
        assert send(form, b"bytes").is_success
        sent.append(form["upload_id"])
    seen, cursor, pages = [], None, 0
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = user.http.get("/uploads", params=query).raise_for_status().json()
        seen += [item["upload_id"] for item in page["items"]]
        pages += 1
        if not (cursor := page["next_cursor"]):
            break
    assert (seen, pages) == (sorted(sent), 3)


def test_the_form_allows_only_what_was_asked_for(user: Any) -> None:
    form = start(user)
    assert send(form, b"bytes", key=form["image_key"] + "0").status_code == 403
    assert send(form, b"bytes", **{"Content-Type": "text/html"}).status_code == 403
    assert send(form, b"").status_code == 400
    assert user.http.get("/uploads").json()["items"] == []


def test_too_much_is_refused_before_it_is_sent(user: Any) -> None:
    answer = user.http.post("/uploads", json={"content_type": "image/jpeg", "size_bytes": 200_000_001})
    assert answer.status_code == 413
    error = answer.json()["error"]
    assert (error["code"], error["details"][0]["field"]) == ("UPLOAD_TOO_LARGE", "size_bytes")
    assert "200,000,000" in error["message"]
    assert "200,000,001" in error["message"]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limit": "many"}, {"cursor": "../users"}])
def test_a_bad_page_is_refused(user: Any, query: dict[str, Any]) -> None:
    answer = user.http.get("/uploads", params=query)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == next(iter(query))


def test_another_users_upload_is_not_deleted(user: Any, anonymous: httpx.Client) -> None:
    form = start(user)
    assert send(form, b"bytes").is_success
    other = {"email": "other-" + user.email, "password": user.password}
    anonymous.post("/auth/register", json=other).raise_for_status()
    key = anonymous.post("/auth/login", json=other).raise_for_status().json()["api_key"]
    answer = anonymous.delete(f"/uploads/{form['upload_id']}", headers={"X-API-KEY": key})
    assert answer.status_code == 404
    assert len(user.http.get("/uploads").json()["items"]) == 1
