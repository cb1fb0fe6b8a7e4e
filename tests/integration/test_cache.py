"""The cache against a real MongoDB: claims, bounds, and a database that is away."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pymongo.database import Database

from studio import storage
from studio.caller import Caller
from studio.tone_mapping.cache import repository, service
from studio.tone_mapping.cache.models import CacheEntry, PurgeCacheResponse
from studio.tone_mapping.cache.service import Computed, describe, find_or_compute, make_key, purge

CALLER = Caller(user_id="usr_1", key_id="key_1", scopes=frozenset({"grade"}))
Configure = Any


def ask(number: int) -> bool:
    """Look up one of many entries; tells whether it was a hit."""
    key = make_key("analysis", CALLER, str(number))
    computed, is_hit = find_or_compute(CALLER, key, "analysis", lambda _: Computed({"number": number}))
    assert computed.answer == {"number": number}
    return is_hit


@pytest.mark.usefixtures("configure")
def test_a_second_look_up_is_a_hit() -> None:
    assert [ask(1), ask(1), ask(2), ask(2)] == [False, True, False, True]


def test_a_database_that_is_away_costs_time_but_no_answer(configure: Configure) -> None:
    configure(MONGODB_URI="mongodb://127.0.0.1:1/", MONGODB_TIMEOUT_MS="100")
    assert [ask(1), ask(1)] == [False, False]


@pytest.mark.usefixtures("configure")
def test_a_failed_computation_leaves_nothing(database: Database[dict[str, Any]]) -> None:
    def fail(_: bool) -> Computed:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        find_or_compute(CALLER, make_key("analysis", CALLER, "1"), "analysis", fail)
    assert database["toneMappingCache"].count_documents({}) == 0
    assert not ask(1)


def test_the_claim_of_a_dead_worker_runs_out(configure: Configure, database: Database[dict[str, Any]]) -> None:
    configure(CACHE_CLAIM_SECONDS="1")
    key = make_key("analysis", CALLER, "7")

    def die(_: bool) -> Computed:
        # As a killed worker leaves it: claimed, never released.
        assert database["toneMappingCache"].find_one({"_id": key, "claim": {"$ne": None}})
        assert not ask(7), "whoever waits takes the claim over once it has run out"
        return Computed({"number": 0})

    find_or_compute(CALLER, key, "analysis", die)
    assert ask(7), "what the one who took over made is kept; the late worker's is not"


def test_the_least_lately_used_makes_room(configure: Configure, database: Database[dict[str, Any]]) -> None:
    configure(CACHE_MAX_ENTRIES="3")
    for number in (1, 2, 3):
        ask(number)
    assert ask(1)
    ask(4)
    assert database["toneMappingCache"].count_documents({}) == 3
    assert [ask(number) for number in (1, 3, 4)] == [True, True, True]
    assert not ask(2)


def test_what_made_room_keeps_its_pixels(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    """URLs to them are out; and the grading functions may not delete."""
    deleted: list[str] = []
    monkeypatch.setattr(storage, "delete", deleted.append)
    configure(CACHE_MAX_ENTRIES="1")
    hits = []
    for number in (1, 2, 2, 1):
        made = Computed({}, f"users/usr_1/results/res_{number}.png", 100)
        hits.append(find_or_compute(CALLER, make_key("result", CALLER, str(number)), "result", lambda _: made)[1])  # noqa: B023
    assert hits == [False, False, True, False]
    assert deleted == []


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize(
    "error", [EndpointConnectionError(endpoint_url="https://s3"), ClientError({"Error": {"Code": "503"}}, "GetObject")]
)
def test_aws_that_is_away_while_keeping_costs_no_answer(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(repository, "complete_entry", fail)
    assert not ask(1)


def fill(database: Database[dict[str, Any]], entries: int, user_id: str = CALLER.user_id) -> None:
    now = datetime.now(UTC)
    database["toneMappingCache"].insert_many(
        CacheEntry(
            id=f"{user_id}_{number}",
            user_id=user_id,
            kind="result",
            engine_version="1",
            result_key=f"users/{user_id}/results/res_{number}.png",
            size_bytes=10,
            created_at=now,
            used_at=now,
            expires_at=now + timedelta(days=1),
        ).to_mongo()
        for number in range(entries)
    )


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("change", ["used", "deleted"])
def test_a_page_begins_behind_the_one_before_whatever_happens_meanwhile(
    database: Database[dict[str, Any]], change: str
) -> None:
    keys = [make_key("analysis", CALLER, str(number)) for number in range(4)]
    for number in range(4):
        ask(number)
        time.sleep(0.002)  # or two were used at once
    first = describe(CALLER, 2, None)
    assert [item.cache_key for item in first.items] == [keys[3], keys[2]]
    if change == "used":
        assert ask(0)
    else:
        database["toneMappingCache"].delete_one({"_id": keys[3]})
    rest = describe(CALLER, 2, first.next_cursor)
    assert [item.cache_key for item in rest.items] == ([keys[1]] if change == "used" else [keys[1], keys[0]])
    assert rest.next_cursor is None


@pytest.mark.usefixtures("configure")
def test_pages_of_entries_that_were_used_at_once(database: Database[dict[str, Any]]) -> None:
    fill(database, 5)
    seen, cursor = [], None
    while True:
        page = describe(CALLER, 2, cursor)
        seen += [item.cache_key for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [f"usr_1_{number}" for number in (4, 3, 2, 1, 0)]


def test_a_long_wait_ends_in_a_computation_that_is_not_kept(configure: Configure) -> None:
    configure(CACHE_WAIT_SECONDS="0.2")
    key, kept = make_key("result", CALLER, "8"), []

    def compute(keep: bool) -> Computed:
        kept.append(keep)
        if len(kept) == 1:
            started = time.monotonic()
            assert find_or_compute(CALLER, key, "result", compute)[1] is False
            assert 0.2 <= time.monotonic() - started < 10
        return Computed({"number": len(kept)})

    find_or_compute(CALLER, key, "result", compute)
    assert kept == [True, False]
    assert find_or_compute(CALLER, key, "result", compute)[1] is True


def test_nothing_is_kept_where_the_database_is_away(configure: Configure) -> None:
    configure(MONGODB_URI="mongodb://127.0.0.1:1/", MONGODB_TIMEOUT_MS="100")
    kept: list[bool] = []

    def compute(keep: bool) -> Computed:
        kept.append(keep)
        return Computed({})

    find_or_compute(CALLER, make_key("result", CALLER, "9"), "result", compute)
    assert kept == [False]


@pytest.mark.usefixtures("configure")
def test_a_purge_deletes_in_batches(database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[Sequence[str]] = []
    monkeypatch.setattr(storage, "delete_many", batches.append)
    fill(database, 2500)
    fill(database, 3, "usr_2")
    assert purge(CALLER, everybody=False) == PurgeCacheResponse(entries=2500, bytes=25_000, remaining=0)
    assert [len(batch) for batch in batches] == [1000, 1000, 500]
    assert database["toneMappingCache"].count_documents({}) == 3
    admin = CALLER.model_copy(update={"scopes": frozenset({"admin"})})
    assert purge(admin, everybody=True).entries == 3


@pytest.mark.usefixtures("configure")
def test_a_purge_that_has_no_time_says_what_remains(
    database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "delete_many", lambda keys: None)
    monkeypatch.setattr(service, "_LONGEST_PURGE_SECONDS", -1)
    fill(database, 2500)
    assert purge(CALLER, everybody=False) == PurgeCacheResponse(entries=1000, bytes=10_000, remaining=1500)
    assert database["toneMappingCache"].count_documents({}) == 1500


def test_keys_differ_by_everything_that_they_are_made_of() -> None:
    other = Caller(user_id="usr_2", key_id="key_2", scopes=frozenset())
    keys = {
        make_key("analysis", CALLER, "a", "b"),
        make_key("result", CALLER, "a", "b"),
        make_key("analysis", other, "a", "b"),
        make_key("analysis", CALLER, "ab"),
        make_key("analysis", CALLER, "a", "", "b"),
        make_key("analysis", CALLER, "b", "a"),
    }
    assert len(keys) == 6
    assert make_key("analysis", CALLER, "a") == make_key("analysis", CALLER, b"a")
