import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from local.stack import Stack


def authorize(stack: Stack, api_key: str) -> dict[str, Any]:
    """Ask the authorizer function itself, past the gateway's cache."""
    context = {"requestId": "request-1", "http": {"sourceIp": "203.0.113.7"}}
    payload = json.dumps({"identitySource": [api_key], "requestContext": context})
    answer = stack.client("lambda").invoke(FunctionName="AuthorizeRequestFunction", Payload=payload)
    decision: dict[str, Any] = json.load(answer["Payload"])
    return decision


def test_without_a_key_the_gateway_answers_401(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/uploads")
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize("key", ["nonsense", "studio_000000000000_" + "0" * 64, "studio__", "\u00fc", "a" * 5000])
def test_with_a_wrong_key_the_gateway_answers_403(anonymous: httpx.Client, key: str) -> None:
    answer = anonymous.get("/uploads", headers=[(b"X-API-KEY", key.encode())])
    assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})


def test_a_right_prefix_with_a_wrong_secret_is_refused(user: Any) -> None:
    forged = user.api_key[:-1] + ("0" if user.api_key[-1] != "0" else "1")
    assert user.http.get("/uploads", headers={"X-API-KEY": forged}).status_code == 403
    assert user.http.get("/uploads").status_code == 200


def test_a_key_is_made_used_and_revoked(stack: Stack, user: Any) -> None:
    made = user.http.post("/auth/api-keys", json={"name": "script", "scopes": ["grade"], "expires_in_days": 1})
    assert made.status_code == 201
    key = made.json()
    assert key["scopes"] == ["grade"]
    expires_in = datetime.fromisoformat(key["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < expires_in <= timedelta(days=1)
    assert authorize(stack, key["api_key"]) == {
        "isAuthorized": True,
        "context": {"user_id": user.user_id, "key_id": key["key_id"], "scopes": "grade"},
    }

    assert user.http.delete(f"/auth/api-keys/{key['key_id']}").status_code == 204
    assert authorize(stack, key["api_key"]) == {"isAuthorized": False}
    assert user.http.get("/uploads", headers={"X-API-KEY": key["api_key"]}).status_code == 403
    again = user.http.delete(f"/auth/api-keys/{key['key_id']}")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_a_key_makes_none_that_outlives_it(user: Any) -> None:
    maker = user.http.post("/auth/api-keys", json={"name": "maker", "expires_in_days": 9}).raise_for_status().json()
    headers = {"X-API-KEY": maker["api_key"]}
    made = user.http.post("/auth/api-keys", json={"name": "by default"}, headers=headers).raise_for_status().json()
    assert made["expires_at"] == maker["expires_at"]
    shorter = user.http.post("/auth/api-keys", json={"name": "shorter", "expires_in_days": 8}, headers=headers)
    assert shorter.raise_for_status().json()["expires_at"] < maker["expires_at"]
    answer = user.http.post("/auth/api-keys", json={"name": "longer", "expires_in_days": 10}, headers=headers)
    assert answer.status_code == 422
    [detail] = answer.json()["error"]["details"]
    assert detail["field"] == "expires_in_days"
    assert "at most 8 days; got 10" in detail["message"]
    names = {item["name"] for item in user.http.get("/auth/api-keys").json()["items"]}
    assert names == {"login", "maker", "by default", "shorter"}


def test_who_logs_in_makes_keys_that_outlive_the_login(user: Any) -> None:
    for asked, expires in (({}, False), ({"expires_in_days": 3650}, True)):
        made = user.http.post("/auth/api-keys", json={"name": "script"} | asked).raise_for_status().json()
        assert (made["expires_at"] is not None) is expires
    headers = {"X-API-KEY": user.http.post("/auth/api-keys", json={"name": "for good"}).json()["api_key"]}
    made = user.http.post("/auth/api-keys", json={"name": "by a key"}, headers=headers).raise_for_status().json()
    assert made["expires_at"] is None, "its maker has no expiry either"


def test_a_key_rotates_none_that_outlives_it(user: Any) -> None:
    maker, shorter, longer, for_good = (
        user.http.post("/auth/api-keys", json={"name": "script", "expires_in_days": days}).raise_for_status().json()
        for days in (9, 8, 10, None)
    )
    headers = {"X-API-KEY": maker["api_key"]}
    assert user.http.post(f"/auth/api-keys/{shorter['key_id']}/rotate", headers=headers).status_code == 200
    # That of the login too, though it ends within hours: it makes keys that never do.
    for key_id in (longer["key_id"], for_good["key_id"], user.key_id):
        answer = user.http.post(f"/auth/api-keys/{key_id}/rotate", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "OUTLIVES_YOUR_KEY")
        assert answer.json()["error"]["details"][0]["field"] == "key_id"
    assert user.http.post(f"/auth/api-keys/{maker['key_id']}/rotate", headers=headers).status_code == 200
    assert user.http.get("/uploads").status_code == 200


def test_an_expired_key_is_refused(stack: Stack, user: Any) -> None:
    key = user.http.post("/auth/api-keys", json={"name": "short"}).json()
    with MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        past = datetime.now(UTC) - timedelta(seconds=1)
        changed = client["studio"]["apiKeys"].update_one({"_id": key["key_id"]}, {"$set": {"expiresAt": past}})
    assert changed.modified_count == 1
    assert authorize(stack, key["api_key"]) == {"isAuthorized": False}


def test_last_use_is_recorded(stack: Stack, user: Any) -> None:
    assert authorize(stack, user.api_key)["isAuthorized"]
    with MongoClient[dict[str, Any]](stack.mongodb_uri, tz_aware=True) as client:
        stored = client["studio"]["apiKeys"].find_one({"_id": user.key_id})
    assert stored is not None
    assert abs(datetime.now(UTC) - stored["lastUsedAt"]) < timedelta(minutes=1)


def test_secrets_are_stored_only_as_hashes(stack: Stack, user: Any) -> None:
    secret = user.api_key.rsplit("_", 1)[1]
    with MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        stored = str([list(client["studio"][name].find()) for name in ("users", "apiKeys")])
    assert user.email in stored
    assert secret not in stored
    assert user.password not in stored


def test_another_users_key_cannot_be_revoked(stack: Stack, user: Any, anonymous: httpx.Client) -> None:
    other = {"email": "other-" + user.email, "password": user.password}
    anonymous.post("/auth/register", json=other).raise_for_status()
    key = anonymous.post("/auth/login", json=other).raise_for_status().json()
    answer = anonymous.delete(f"/auth/api-keys/{user.key_id}", headers={"X-API-KEY": key["api_key"]})
    assert answer.status_code == 404
    assert authorize(stack, user.api_key)["isAuthorized"]


def test_a_key_gives_no_scope_that_it_has_not(user: Any) -> None:
    answer = user.http.post("/auth/api-keys", json={"name": "too much", "scopes": ["admin"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "MISSING_SCOPE")
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == ["scopes"]


@pytest.mark.parametrize(
    ("field", "given", "told"),
    [
        ("email", "ada@@example.com", "an email address is like ada@example.com; got 'ada@@example.com'"),
        ("password", "hunter2", "String should have at least 12 characters, not 7"),
    ],
)
def test_what_is_no_registration_is_told_in_words(anonymous: httpx.Client, field: str, given: str, told: str) -> None:
    body = {"email": "ada@example.com", "password": "another password", field: given}
    answer = anonymous.post("/auth/register", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == [{"field": field, "message": told}]


def test_an_email_is_taken_once_whatever_its_case(user: Any, anonymous: httpx.Client) -> None:
    answer = anonymous.post("/auth/register", json={"email": user.email.upper(), "password": "another password"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "EMAIL_TAKEN")


@pytest.mark.parametrize("email", [None, "nobody@example.com"])
def test_a_wrong_login_does_not_say_what_is_wrong(user: Any, anonymous: httpx.Client, email: str | None) -> None:
    answer = anonymous.post("/auth/login", json={"email": email or user.email, "password": "a wrong password"})
    assert answer.status_code == 401
    assert answer.json()["error"] == {
        "code": "INVALID_CREDENTIALS",
        "message": "email or password is wrong",
        "details": [],
    }


def test_a_user_sees_who_they_are(user: Any) -> None:
    key = user.http.post("/auth/api-keys", json={"name": "script", "scopes": ["grade"]}).json()
    me = user.http.get("/auth/me", headers={"X-API-KEY": key["api_key"]}).raise_for_status().json()
    assert datetime.now(UTC) - datetime.fromisoformat(me.pop("created_at")) < timedelta(minutes=5)
    assert me == {"user_id": user.user_id, "email": user.email, "key_id": key["key_id"], "scopes": ["grade"]}


def test_keys_are_listed_without_their_secrets(user: Any) -> None:
    made = [user.http.post("/auth/api-keys", json={"name": f"key {number}"}).json() for number in range(3)]
    user.http.delete(f"/auth/api-keys/{made[0]['key_id']}").raise_for_status()
    pages, cursor = [], None
    while True:
        page = user.http.get("/auth/api-keys", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        pages.append(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [len(items) for items in pages] == [2, 2]
    items = [item for page in pages for item in page]
    keys = {key["key_id"]: key["api_key"] for key in made} | {user.key_id: user.api_key}
    assert [item["key_id"] for item in items] == sorted(keys, reverse=True)
    assert {item["key_id"] for item in items if item["revoked_at"]} == {made[0]["key_id"]}
    assert {item["key_id"] for item in items if item["last_used_at"]} == {user.key_id}
    for item in items:
        prefix, _, secret = keys[item["key_id"]].rpartition("_")
        assert item["prefix"] == prefix
        assert secret not in str(pages)


def test_a_rotated_key_has_another_secret(stack: Stack, user: Any) -> None:
    old = user.http.post("/auth/api-keys", json={"name": "script", "scopes": ["grade"], "expires_in_days": 9}).json()
    answer = user.http.post(f"/auth/api-keys/{old['key_id']}/rotate")
    assert answer.status_code == 200
    new = answer.json()
    assert new["api_key"] != old["api_key"]
    assert {**new, "api_key": ""} == {**old, "api_key": ""}
    assert authorize(stack, new["api_key"])["context"]["scopes"] == "grade"
    assert authorize(stack, old["api_key"]) == {"isAuthorized": False}


def test_the_secret_before_works_through_its_grace(stack: Stack, user: Any) -> None:
    old = user.http.post("/auth/api-keys", json={"name": "script"}).json()
    rotate = f"/auth/api-keys/{old['key_id']}/rotate"
    new = user.http.post(rotate, json={"grace_seconds": 60}).raise_for_status().json()
    assert [authorize(stack, key["api_key"])["isAuthorized"] for key in (old, new)] == [True, True]
    with MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        past = datetime.now(UTC) - timedelta(seconds=1)
        client["studio"]["apiKeys"].update_one({"_id": old["key_id"]}, {"$set": {"previousUntil": past}})
    assert [authorize(stack, key["api_key"])["isAuthorized"] for key in (old, new)] == [False, True]

    newest = user.http.post(rotate, json={"grace_seconds": 60}).raise_for_status().json()
    keys = (old, new, newest)
    assert [authorize(stack, key["api_key"])["isAuthorized"] for key in keys] == [False, True, True]
    user.http.delete(f"/auth/api-keys/{old['key_id']}").raise_for_status()
    assert not any(authorize(stack, key["api_key"])["isAuthorized"] for key in keys), "revoked is revoked"


def test_a_secret_that_the_gateway_remembers_gets_no_key_once_it_was_rotated(user: Any) -> None:
    old = user.http.post("/auth/api-keys", json={"name": "script"}).json()
    headers = {"X-API-KEY": old["api_key"]}
    assert user.http.get("/auth/me", headers=headers).status_code == 200
    rotate = f"/auth/api-keys/{old['key_id']}/rotate"
    new = user.http.post(rotate).raise_for_status().json()
    assert user.http.get("/auth/me", headers=headers).status_code == 200, "remembered"
    for path, body in (("/auth/api-keys", {"name": "successor"}), (rotate, {})):
        answer = user.http.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "KEY_ENDED")
    made = user.http.post("/auth/api-keys", json={"name": "successor"}, headers={"X-API-KEY": new["api_key"]})
    assert made.status_code == 201


def test_a_key_cannot_be_rotated_into_more_than_the_caller_has(user: Any) -> None:
    key = user.http.post("/auth/api-keys", json={"name": "small", "scopes": ["grade"]}).json()
    answer = user.http.post(f"/auth/api-keys/{user.key_id}/rotate", headers={"X-API-KEY": key["api_key"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "MISSING_SCOPE")


def test_a_key_that_has_ended_cannot_be_rotated(stack: Stack, user: Any) -> None:
    revoked, expired = (user.http.post("/auth/api-keys", json={"name": "short"}).json()["key_id"] for _ in range(2))
    user.http.delete(f"/auth/api-keys/{revoked}").raise_for_status()
    with MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        past = datetime.now(UTC) - timedelta(seconds=1)
        client["studio"]["apiKeys"].update_one({"_id": expired}, {"$set": {"expiresAt": past}})
    for key_id in (revoked, expired, "key_nobody_has"):
        answer = user.http.post(f"/auth/api-keys/{key_id}/rotate")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_who_guesses_has_to_wait(user: Any, anonymous: httpx.Client) -> None:
    wrong = {"email": user.email, "password": "a wrong password"}
    assert [anonymous.post("/auth/login", json=wrong).status_code for _ in range(4)] == [401] * 4
    # A stolen key is no way around.
    assert user.http.request("DELETE", "/auth/me", json={"password": "a wrong password"}).status_code == 401
    answer = anonymous.post("/auth/login", json={"email": user.email, "password": user.password})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "LOGIN_LOCKED")
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert user.http.request("DELETE", "/auth/me", json={"password": user.password}).status_code == 429
    assert user.http.get("/auth/me").status_code == 200


def test_a_password_that_is_easy_to_guess_is_refused(anonymous: httpx.Client) -> None:
    answer = anonymous.post("/auth/register", json={"email": "weak@example.com", "password": "P@ssw0rd2026"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"][0]["field"]) == (422, "WEAK_PASSWORD", "password")
    assert "P@ssw0rd2026" not in answer.text
