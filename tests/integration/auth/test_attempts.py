"""Who fails too often, or registers too many, has to wait, by user and by address, whoever tries at the same time."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from pymongo.database import Database

from studio.auth import attempts, passwords, service
from studio.auth.models import (
    CreateApiKeyRequest,
    DeleteUserRequest,
    LoginRequest,
    RegisterRequest,
    RotateApiKeyRequest,
)
from studio.errors import InvalidCredentialsError, StudioError, TooManyRequestsError
from studio.indexes import create_indexes

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
ADDRESS = "203.0.113.7"


@pytest.fixture(autouse=True)
def user_id(database: Database[dict[str, Any]], configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> str:
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # as it is otherwise, it takes a core a while
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "_DECOY", hasher.hash("nobody's"))
    configure(
        REGISTRATION="open", LOGIN_ADDRESS_FAILURES="8", LOGIN_LONGEST_WAIT_SECONDS="60", MONGODB_TIMEOUT_MS="25000"
    )
    create_indexes(database)
    return service.register(RegisterRequest(email=EMAIL, password=SecretStr(PASSWORD)), ADDRESS).user_id


def login(email: str = EMAIL, password: str = PASSWORD, address: str = ADDRESS) -> str:
    """Return what a login came to."""
    try:
        service.login(LoginRequest(email=email, password=SecretStr(password)), address)
    except StudioError as error:
        return error.code
    return "OK"


def waits(database: Database[dict[str, Any]]) -> list[float]:
    """Seconds that there are to wait, the shortest first."""
    now = datetime.now(UTC)
    return sorted(
        (found["lockedUntil"] - now).total_seconds()
        for found in database["loginAttempts"].find()
        if found["lockedUntil"]
    )


def pass_time(database: Database[dict[str, Any]], seconds: float) -> None:
    """Let what is stored be so much older."""
    for found in database["loginAttempts"].find():
        moved = {name: found[name] - timedelta(seconds=seconds) for name in ("lockedUntil", "expiresAt") if found[name]}
        database["loginAttempts"].update_one({"_id": found["_id"]}, {"$set": moved})


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_a_user_is_locked_whether_there_is_one_or_not(database: Database[dict[str, Any]], email: str) -> None:
    addresses = [f"203.0.113.{number}" for number in range(100, 120)]
    assert [login(email, "wrong", addresses.pop()) for _ in range(6)] == ["INVALID_CREDENTIALS"] * 5 + ["LOGIN_LOCKED"]
    with pytest.raises(TooManyRequestsError) as refused:
        service.login(LoginRequest(email=email, password=SecretStr(PASSWORD)), addresses.pop())
    assert refused.value.retry_after
    assert 5 < refused.value.retry_after <= 10
    assert refused.value.message == f"too many failed logins; try again in {refused.value.retry_after} s"


def test_waits_double_up_to_the_longest(database: Database[dict[str, Any]]) -> None:
    expected = [10, 20, 40, 60, 60]
    for number in range(4):
        assert login(password="wrong", address=f"198.51.100.{number}") == "INVALID_CREDENTIALS"
    for number, seconds in enumerate(expected):
        assert login(password="wrong", address=f"203.0.113.{number}") == "INVALID_CREDENTIALS"
        [wait] = waits(database)
        assert seconds - 5 < wait <= seconds
        assert login(address=f"203.0.113.{number}") == "LOGIN_LOCKED", "with the right password, too"
        pass_time(database, seconds)
    assert login() == "OK"
    assert [login(password="wrong") for _ in range(5)] == ["INVALID_CREDENTIALS"] * 5, "a success clears the user"


def test_failures_are_forgotten(database: Database[dict[str, Any]]) -> None:
    for _ in range(4):
        login(password="wrong")
    pass_time(database, 3600 + 61)
    assert [login(password="wrong") for _ in range(5)] == ["INVALID_CREDENTIALS"] * 5


def test_an_address_is_locked_whoever_it_tries(database: Database[dict[str, Any]]) -> None:
    tried = [login(f"user{number}@example.com", "wrong") for number in range(9)]
    assert tried == ["INVALID_CREDENTIALS"] * 8 + ["LOGIN_LOCKED"]
    assert login() == "LOGIN_LOCKED"
    assert login(address="203.0.113.8") == "OK"


def test_failures_of_an_address_are_forgotten_though_others_log_in_there(database: Database[dict[str, Any]]) -> None:
    for number in range(7):
        assert login(f"user{number}@example.com", "wrong") == "INVALID_CREDENTIALS"
    for _ in range(4):  # each of them within an hour of the one before
        pass_time(database, 1000)
        assert login() == "OK"
    outcomes = [login(f"other{number}@example.com", "wrong") for number in range(7)]
    assert outcomes == ["INVALID_CREDENTIALS"] * 7, "the last failure was 4,000 s ago"


def test_an_own_login_beside_guesses_makes_none_of_them_forgotten(database: Database[dict[str, Any]]) -> None:
    assert login("user0@example.com", "wrong") == "INVALID_CREDENTIALS"
    for number in range(1, 7):
        pass_time(database, 1000)
        with attempts.attempt(ADDRESS, EMAIL):
            assert login(f"user{number}@example.com", "wrong") == "INVALID_CREDENTIALS"
    assert [login(f"user{number}@example.com", "wrong") for number in (7, 8)] == ["INVALID_CREDENTIALS", "LOGIN_LOCKED"]


def test_who_meets_a_locked_user_has_tried_nothing() -> None:
    outcomes = [login(password="wrong") for _ in range(20)]
    assert outcomes == ["INVALID_CREDENTIALS"] * 5 + ["LOGIN_LOCKED"] * 15
    others = [login(f"user{number}@example.com", "wrong") for number in range(4)]
    assert others == ["INVALID_CREDENTIALS"] * 3 + ["LOGIN_LOCKED"], "the address has five failures, not twenty"


def test_a_network_of_ipv6_is_one_address() -> None:
    for number in range(8):
        login(f"user{number}@example.com", "wrong", f"2001:db8:0:1:{number}::1")
    assert login(address="2001:db8:0:1:ffff::1") == "LOGIN_LOCKED"
    assert login(address="2001:db8:0:2::1") == "OK"


def test_an_own_login_between_guesses_does_not_clear_the_address(database: Database[dict[str, Any]]) -> None:
    outcomes = []
    for number in range(12):
        outcomes.append(login(f"user{number}@example.com", "wrong"))
        login()
    assert outcomes.count("INVALID_CREDENTIALS") <= 9
    assert outcomes[-1] == "LOGIN_LOCKED"


def test_of_many_guesses_at_once_as_few_pass(database: Database[dict[str, Any]]) -> None:
    def guess(number: int) -> str:
        try:
            with attempts.attempt(f"203.0.113.{number}", EMAIL):
                raise InvalidCredentialsError("wrong")
        except StudioError as error:
            return error.code

    assert [guess(number) for number in range(4)] == ["INVALID_CREDENTIALS"] * 4
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(guess, range(20)))
    assert outcomes.count("INVALID_CREDENTIALS") == 1
    assert outcomes.count("LOGIN_LOCKED") == 19


def test_right_logins_at_the_same_moment_are_no_failures(database: Database[dict[str, Any]]) -> None:
    def succeed(_: int) -> str:
        try:
            with attempts.attempt(ADDRESS, EMAIL):
                return "OK"
        except StudioError as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        for _ in range(50):  # the record is gone after each, and two make it again
            assert list(pool.map(succeed, range(4))) == ["OK"] * 4
    assert waits(database) == []


def test_invite_codes_are_not_to_be_guessed(
    configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure(REGISTRATION="invite", REGISTRATION_INVITE_SECRET_ARN="arn", LOGIN_ADDRESS_FAILURES="8")
    monkeypatch.setattr(service, "get_secret", lambda arn: "the code")
    codes = []
    for number in range(9):
        request = RegisterRequest(
            email=f"new{number}@example.com", password=SecretStr(PASSWORD), invite=SecretStr(f"{number}")
        )
        with pytest.raises(StudioError) as refused:
            service.register(request, ADDRESS)
        codes.append(refused.value.code)
    assert codes == ["INVITE_REQUIRED"] * 8 + ["LOGIN_LOCKED"]
    told = [vars(record) for record in caplog.records if record.message == "security event"]
    assert [(line["event"], line["address"]) for line in told][-9:] == [("invite_refused", ADDRESS)] * 9


@pytest.fixture
def limited(configure: Callable[..., None]) -> None:
    """Three registrations an hour, of an hour that has some seconds left."""
    while time.time() % 3600 > 3590:
        time.sleep(0.2)
    configure(REGISTRATION="open", REGISTRATIONS_PER_HOUR="3", MONGODB_TIMEOUT_MS="25000")


def register(email: str, password: str = PASSWORD, address: str = "203.0.113.9") -> str:
    """Return what a registration came to."""
    try:
        service.register(RegisterRequest(email=email, password=SecretStr(password)), address)
    except StudioError as error:
        return error.code
    return "OK"


@pytest.mark.usefixtures("limited")
def test_an_address_registers_so_many_users_an_hour(
    database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert register("new1@example.com") == "OK"
    assert register("new2@example.com", "password1234") == "WEAK_PASSWORD"
    assert register(EMAIL) == "EMAIL_TAKEN", "and those that fail count, too"
    assert register("new3@example.com", address="203.0.113.10") == "OK"
    with monkeypatch.context() as patch:
        patch.setattr(passwords, "_hasher", None)  # it is not come to
        with pytest.raises(TooManyRequestsError) as refused:
            service.register(RegisterRequest(email="new4@example.com", password=SecretStr(PASSWORD)), "203.0.113.9")
    assert refused.value.code == "REGISTRATION_LIMITED"
    assert refused.value.retry_after
    assert 3600 - time.time() % 3600 - 5 < refused.value.retry_after <= 3600
    assert f"3 registrations an hour from one address; try again in {refused.value.retry_after:,} s" in str(
        refused.value
    )
    assert database["users"].count_documents({}) == 3
    assert login(address="203.0.113.9") == "OK", "who is registered may log in"

    hour = next(found["_id"] for found in database["requestCounts"].find({"requests": 4}))
    name, _, window = hour.partition("#")
    database["requestCounts"].delete_one({"_id": hour})
    database["requestCounts"].insert_one({"_id": f"{name}#{int(window) - 1}", "requests": 4})
    assert register("new4@example.com") == "OK", "the next hour begins again"
    assert "203.0.113" not in str(list(database["requestCounts"].find()))


@pytest.mark.usefixtures("limited")
def test_a_network_of_ipv6_registers_as_one_address() -> None:
    outcomes = [register(f"new{number}@example.com", address=f"2001:db8:0:1:{number}::1") for number in range(4)]
    assert outcomes == ["OK"] * 3 + ["REGISTRATION_LIMITED"]
    assert register("new5@example.com", address="2001:db8:0:2::1") == "OK"


@pytest.mark.usefixtures("limited")
def test_of_many_registrations_at_once_as_few_pass() -> None:
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda number: register(f"new{number}@example.com"), range(20)))
    assert outcomes.count("OK") == 3
    assert outcomes.count("REGISTRATION_LIMITED") == 17


def test_registrations_are_not_counted_without_a_limit(
    configure: Callable[..., None], database: Database[dict[str, Any]]
) -> None:
    configure(REGISTRATION="open", REGISTRATIONS_PER_HOUR="0")
    database["requestCounts"].drop()
    assert [register(f"new{number}@example.com") for number in range(4)] == ["OK"] * 4
    assert database["requestCounts"].count_documents({}) == 0


def test_nothing_that_is_stored_names_who_tried(database: Database[dict[str, Any]]) -> None:
    login("nobody@example.com", "wrong")
    stored = str(list(database["loginAttempts"].find()))
    assert "nobody" not in stored
    assert ADDRESS not in stored


def test_the_audit_log_tells_what_happened_and_no_secret(user_id: str, caplog: pytest.LogCaptureFixture) -> None:
    login(password="a wrong password")
    login("nobody@example.com", "a wrong password")
    key = service.login(LoginRequest(email=EMAIL, password=SecretStr(PASSWORD)), ADDRESS)
    forged = key.api_key[:-1] + ("0" if key.api_key[-1] != "0" else "1")
    assert service.authorize(forged, ADDRESS) is None
    caller = service.authorize(key.api_key, ADDRESS)
    assert caller
    made = service.create_api_key(caller, key.api_key, CreateApiKeyRequest(name="script"))
    service.rotate_api_key(caller, key.api_key, made.key_id, RotateApiKeyRequest())
    service.revoke_api_key(caller, key.api_key, made.key_id)
    service.delete_user(caller, DeleteUserRequest(password=SecretStr(PASSWORD)), ADDRESS)
    assert service.authorize(key.api_key, ADDRESS) is None
    told = [vars(record) for record in caplog.records if record.message == "security event"]
    facts = [(line["event"], line["user_id"], line.get("key_id"), line.get("address")) for line in told]
    assert facts == [
        ("login_failed", user_id, None, ADDRESS),
        ("login_failed", None, None, ADDRESS),
        ("login_succeeded", user_id, key.key_id, ADDRESS),
        ("key_refused", user_id, key.key_id, ADDRESS),
        ("key_created", user_id, made.key_id, None),
        ("key_rotated", user_id, made.key_id, None),
        ("key_revoked", user_id, made.key_id, None),
        ("user_deleted", user_id, key.key_id, ADDRESS),
        ("key_refused", None, None, ADDRESS),
    ]
    assert {line["levelname"] for line in told} == {"INFO"}
    for secret in (PASSWORD, "a wrong password", key.api_key.rpartition("_")[2], forged, EMAIL):
        assert secret not in str(told)
