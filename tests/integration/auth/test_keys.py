"""What keys can do, and how many there may be."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from studio.auth import repository, service
from studio.auth.models import ApiKey, CreateApiKeyRequest, LoginRequest, RegisterRequest, RotateApiKeyRequest
from studio.caller import Caller
from studio.errors import ConflictError, ForbiddenError, NotFoundError
from studio.indexes import create_indexes

LOGIN = {"email": "ada@example.com", "password": "correct horse battery"}
ADDRESS = "203.0.113.7"
LIMIT = 3


@pytest.fixture(autouse=True)
def user_id(database: Database[dict[str, Any]], configure: Callable[..., None]) -> str:
    configure(REGISTRATION="open", API_KEYS_MAX=str(LIMIT), LOGIN_KEYS_MAX=str(LIMIT), MONGODB_TIMEOUT_MS="25000")
    create_indexes(database)
    return service.register(RegisterRequest.model_validate(LOGIN), ADDRESS).user_id


def login() -> str:
    return service.login(LoginRequest.model_validate(LOGIN), ADDRESS).api_key


def authorized(api_key: str) -> Caller:
    caller = service.authorize(api_key, ADDRESS)
    assert caller
    return caller


def test_a_user_has_so_many_keys_however_many_are_made_at_once(database: Database[dict[str, Any]]) -> None:
    key = login()
    caller = authorized(key)

    def make(number: int) -> str:
        try:
            return service.create_api_key(caller, key, CreateApiKeyRequest(name=f"{number}", scopes=["grade"])).key_id
        except ConflictError as error:
            return error.code

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(make, range(6)))
    assert made.count("TOO_MANY_KEYS") == 6 - LIMIT
    revoked = next(key_id for key_id in made if key_id != "TOO_MANY_KEYS")
    service.revoke_api_key(caller, key, revoked)
    assert make(7) == "TOO_MANY_KEYS", "it may work for another minute"
    a_minute_ago = datetime.now(UTC) - timedelta(seconds=61)
    database["apiKeys"].update_one({"_id": revoked}, {"$set": {"revokedAt": a_minute_ago}})
    assert make(8) != "TOO_MANY_KEYS"


def test_the_last_use_is_written_once_a_minute(database: Database[dict[str, Any]]) -> None:
    def last_used(api_key: str) -> datetime:
        found = database["apiKeys"].find_one({"_id": authorized(api_key).key_id})
        assert found
        used: datetime = found["lastUsedAt"]
        return used

    key = login()
    first = last_used(key)
    assert last_used(key) == first
    a_minute_before = first - timedelta(seconds=61)
    database["apiKeys"].update_one({"lastUsedAt": first}, {"$set": {"lastUsedAt": a_minute_before}})
    assert last_used(key) > first


def test_the_next_login_ends_the_oldest() -> None:
    keys = [login() for _ in range(LIMIT + 1)]
    assert [service.authorize(key, ADDRESS) is not None for key in keys] == [False] + [True] * LIMIT


def test_of_logins_the_last_are_stored_whatever_became_of_their_keys(
    user_id: str, database: Database[dict[str, Any]]
) -> None:
    other = LOGIN | {"email": "eve@example.com"}
    service.register(RegisterRequest.model_validate(other), ADDRESS)
    service.login(LoginRequest.model_validate(other), ADDRESS)
    made = service.create_api_key(authorized(key := login()), key, CreateApiKeyRequest(name="script"))
    for _ in range(2 * LIMIT):
        caller = authorized(another := login())
        service.revoke_api_key(caller, another, caller.key_id)
    left = [found["_id"] for found in database["apiKeys"].find({"userId": user_id})]
    assert len(left) == LIMIT + 1
    assert {made.key_id, caller.key_id} < set(left)
    assert database["apiKeys"].count_documents({"userId": {"$ne": user_id}}) == 1


def test_a_scope_that_a_user_has_no_more_is_in_none_of_their_keys(
    user_id: str, database: Database[dict[str, Any]]
) -> None:
    database["users"].update_one({"_id": user_id}, {"$set": {"scopes": ["grade", "admin"]}})
    key = login()
    assert authorized(key).scopes == {"grade", "admin"}
    database["users"].update_one({"_id": user_id}, {"$set": {"scopes": ["grade"]}})
    caller = authorized(key)
    assert caller.scopes == {"grade"}
    with pytest.raises(ForbiddenError):
        service.create_api_key(caller, key, CreateApiKeyRequest(name="still", scopes=["admin"]))
    another = login()
    service.revoke_api_key(authorized(another), another, caller.key_id)
    assert service.authorize(key, ADDRESS) is None


def test_a_key_revokes_itself_and_what_can_do_no_more_than_it() -> None:
    key = login()
    owner = authorized(key)
    narrow = service.create_api_key(owner, key, CreateApiKeyRequest(name="narrow", scopes=["export"]))
    wide = service.create_api_key(owner, key, CreateApiKeyRequest(name="wide", scopes=["export", "grade"]))
    caller = authorized(narrow.api_key)
    with pytest.raises(ForbiddenError):
        service.revoke_api_key(caller, narrow.api_key, wide.key_id)
    assert service.authorize(wide.api_key, ADDRESS)
    service.revoke_api_key(caller, narrow.api_key, narrow.key_id)
    assert service.authorize(narrow.api_key, ADDRESS) is None
    with pytest.raises(NotFoundError):
        service.revoke_api_key(owner, key, narrow.key_id)


@pytest.mark.parametrize("ended", ["revokedAt", "expiresAt"])
def test_a_key_that_has_ended_gets_no_other_and_ends_none(database: Database[dict[str, Any]], ended: str) -> None:
    """The authorizer remembers it for a minute, which is enough to ask for one."""
    key = login()
    other = service.create_api_key(authorized(key), key, CreateApiKeyRequest(name="other", scopes=["grade"]))
    stolen = service.create_api_key(authorized(key), key, CreateApiKeyRequest(name="stolen")).api_key
    caller = authorized(stolen)
    database["apiKeys"].update_one({"_id": caller.key_id}, {"$set": {ended: datetime.now(UTC) - timedelta(seconds=1)}})
    with pytest.raises(ForbiddenError, match="revoked or rotated, or has expired"):
        service.create_api_key(caller, stolen, CreateApiKeyRequest(name="successor"))
    with pytest.raises(ForbiddenError, match="revoked or rotated, or has expired"):
        service.rotate_api_key(caller, stolen, other.key_id, RotateApiKeyRequest())
    with pytest.raises(ForbiddenError, match="revoked or rotated, or has expired"):
        service.revoke_api_key(caller, stolen, other.key_id)
    assert service.authorize(other.api_key, ADDRESS)


def test_the_audit_log_tells_that_a_key_which_has_ended_was_refused(caplog: pytest.LogCaptureFixture) -> None:
    key = login()
    stolen = service.create_api_key(authorized(key), key, CreateApiKeyRequest(name="stolen"))
    caller = authorized(stolen.api_key)
    service.revoke_api_key(authorized(key), key, stolen.key_id)
    caplog.clear()
    with pytest.raises(ForbiddenError):
        service.create_api_key(caller, stolen.api_key, CreateApiKeyRequest(name="successor"))
    [told] = [vars(record) for record in caplog.records if record.message == "security event"]
    assert (told["event"], told["reason"]) == ("key_refused", "ended")
    assert (told["user_id"], told["key_id"]) == (caller.user_id, stolen.key_id)


def test_the_audit_log_tells_which_logins_the_next_one_ended(caplog: pytest.LogCaptureFixture) -> None:
    first = authorized(login())
    for _ in range(LIMIT - 1):
        login()
    caplog.clear()
    last = authorized(login())
    told = [vars(record) for record in caplog.records if record.message == "security event"]
    facts = [(line["event"], line["user_id"], line["key_id"], line.get("by_key_id")) for line in told]
    assert facts == [
        ("login_succeeded", last.user_id, last.key_id, None),
        ("key_deleted", first.user_id, first.key_id, last.key_id),
    ]


def test_a_secret_that_was_rotated_gets_and_ends_no_key_but_within_its_grace(
    database: Database[dict[str, Any]],
) -> None:
    key = login()
    stolen = service.create_api_key(authorized(key), key, CreateApiKeyRequest(name="script"))
    caller = authorized(stolen.api_key)
    kept = service.rotate_api_key(authorized(key), key, stolen.key_id, RotateApiKeyRequest(grace_seconds=60)).api_key
    assert service.create_api_key(caller, stolen.api_key, CreateApiKeyRequest(name="within its grace"))
    a_moment_ago = datetime.now(UTC) - timedelta(seconds=1)
    database["apiKeys"].update_one({"_id": stolen.key_id}, {"$set": {"previousUntil": a_moment_ago}})
    with pytest.raises(ForbiddenError, match="revoked or rotated, or has expired"):
        service.create_api_key(caller, stolen.api_key, CreateApiKeyRequest(name="successor"))
    with pytest.raises(ForbiddenError, match="revoked or rotated, or has expired"):
        service.rotate_api_key(caller, stolen.api_key, stolen.key_id, RotateApiKeyRequest())
    with pytest.raises(ForbiddenError, match="revoked or rotated, or has expired"):
        service.revoke_api_key(caller, stolen.api_key, stolen.key_id)
    assert service.create_api_key(caller, kept, CreateApiKeyRequest(name="by the new secret"))


def test_of_two_rotations_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    key = login()
    caller = authorized(key)
    made = service.create_api_key(caller, key, CreateApiKeyRequest(name="script"))
    find, won = repository.find_working_key, []

    def find_and_be_overtaken(key_id: str, user_id: str, now: datetime) -> ApiKey | None:
        found = find(key_id, user_id, now)
        if key_id == made.key_id:
            monkeypatch.setattr(repository, "find_working_key", find)
            won.append(service.rotate_api_key(caller, key, made.key_id, RotateApiKeyRequest()).api_key)
        return found

    monkeypatch.setattr(repository, "find_working_key", find_and_be_overtaken)
    with pytest.raises(ConflictError, match="rotated or revoked just now"):
        service.rotate_api_key(caller, key, made.key_id, RotateApiKeyRequest())
    assert service.authorize(won[0], ADDRESS), "whoever was told a secret has one that works"


def test_a_secret_that_is_rotated_at_the_same_moment_does_not_rotate_the_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = login()
    stolen = service.create_api_key(authorized(key), key, CreateApiKeyRequest(name="script"))
    caller, require, kept = authorized(stolen.api_key), service._require_working_key, []

    def require_and_be_overtaken(*given: Any) -> ApiKey:
        found = require(*given)
        monkeypatch.setattr(service, "_require_working_key", require)
        kept.append(service.rotate_api_key(authorized(key), key, stolen.key_id, RotateApiKeyRequest()).api_key)
        return found

    monkeypatch.setattr(service, "_require_working_key", require_and_be_overtaken)
    with pytest.raises(ConflictError, match="rotated or revoked just now"):
        service.rotate_api_key(caller, stolen.api_key, stolen.key_id, RotateApiKeyRequest())
    assert service.authorize(kept[0], ADDRESS)
