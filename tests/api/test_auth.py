import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from local.stack import Stack


def authorize(stack: Stack, api_key: str) -> dict[str, Any]:
    """Ask the authorizer function itself, past the gateway's cache."""
    payload = json.dumps({"identitySource": [api_key]})
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
