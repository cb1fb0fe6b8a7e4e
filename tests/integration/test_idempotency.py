"""Idempotency-Key on a real MongoDB: what a handler answers, and what its record is worth."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyItemAlreadyExistsError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from local.mongod import Mongod
from studio import mongo
from studio.caller import Caller
from studio.compute_tasks import repository
from studio.compute_tasks import service as compute_tasks
from studio.compute_tasks.models import Job, TaskOptions
from studio.errors import ConflictError, UnavailableError
from studio.http import create_app, create_handler, get_job_id
from studio.idempotency import KEPT_SECONDS, MongoPersistenceLayer
from studio.indexes import create_indexes
from studio.tone_mapping.bulk import service as bulk
from studio.tone_mapping.bulk.models import BulkGradeRequest
from tests.lambda_context import Context

OWNER, OTHER = "usr_1", "usr_2"
CALLER = Caller(user_id=OWNER, key_id="key_1", scopes=frozenset({"grade"}))


class DiedError(BaseException):
    """The end of a function that Lambda stops: nothing in it gets to run any more."""


class Service:
    """A handler of two routes, what its work was called with, and what it does next."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.job_ids: list[str | None] = []
        self.act: Callable[[], None] = lambda: None
        self.answer: dict[Any, Any] = {}
        app = create_app()

        def work(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
            self.job_ids.append(get_job_id(app))
            self.act()
            self.done.append(body)
            return {"z": len(self.done), "a": 0.1 + 0.2, "text": 'Zoë "quoted"\n'} | self.answer, 201

        @app.post("/films")
        def films(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
            return work(body)

        @app.post("/stills")
        def stills(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
            return work(body)

        self._handler = create_handler(app, idempotent=True)

    def send(
        self, key: str | None, body: Any, *, path: str = "/films", user: str = OWNER
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, body as text and headers of an answer."""
        text = body if isinstance(body, str) else json.dumps(body)
        event = {
            "version": "2.0",
            "rawPath": path,
            "headers": {"content-type": "application/json"} | ({} if key is None else {"idempotency-key": key}),
            "requestContext": {
                "requestId": "request-1",
                "stage": "$default",
                "http": {"method": "POST", "path": path},
                "authorizer": {"lambda": {"user_id": user, "key_id": "key_1", "scopes": "grade"}},
            },
            "body": text,
            "isBase64Encoded": False,
        }
        answer = self._handler(event, Context())  # type: ignore[arg-type]
        return answer["statusCode"], answer["body"], answer["headers"]

    def refused(self, *arguments: Any, **more: Any) -> tuple[int, str]:
        """Return status and code of an answer."""
        status, body, _ = self.send(*arguments, **more)
        return status, json.loads(body)["error"]["code"]


@pytest.fixture
def service(configure: Callable[..., None]) -> Service:
    return Service()


@pytest.fixture
def records(database: Database[Any]) -> Any:
    return database["idempotency"]


def outlive(records: Any) -> None:
    """Let the time pass that a function may run."""
    records.update_many({}, {"$set": {"claimedUntil": datetime.now(UTC) - timedelta(seconds=1)}})


def stop(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_the_first_answer_is_given_again_byte_for_byte(service: Service) -> None:
    status, body, headers = service.send("k", {"n": 1})
    again = service.send("k", {"n": 1})
    assert (status, body) == (201, '{"z":1,"a":0.30000000000000004,"text":"Zo\\u00eb \\"quoted\\"\\n"}')
    assert again == (status, body, headers | {"idempotency-replayed": "true"})
    assert "idempotency-replayed" not in headers
    assert len(service.done) == 1


def test_without_a_key_nothing_is_replayed_and_mongodb_not_asked(
    service: Service, configure: Callable[..., None]
) -> None:
    configure(MONGODB_URI="mongodb://127.0.0.1:1/", MONGODB_TIMEOUT_MS="100")
    assert [service.send(None, {"n": 1})[0] for _ in range(2)] == [201, 201]
    assert len(service.done) == 2
    assert service.job_ids == [None, None]


def test_without_a_key_mongodbs_library_is_not_imported() -> None:
    code = """
import sys
from studio.http import create_app, create_handler
app = create_app()
app.post("/films")(lambda: {})
event = {"version": "2.0", "rawPath": "/films", "headers": {}, "body": None,
         "requestContext": {"requestId": "1", "stage": "$default", "http": {"method": "POST", "path": "/films"}}}
context = type("Context", (), dict.fromkeys(
    ["function_name", "memory_limit_in_mb", "invoked_function_arn", "aws_request_id"], ""))
assert create_handler(app, idempotent=True)(event, context)["statusCode"] == 200
assert "pymongo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"POWERTOOLS_TRACE_DISABLED": "true"})


def test_a_body_is_the_same_however_it_is_written(service: Service) -> None:
    service.send("k", '{"a": 1, "b": ["\\u00e9"]}')
    assert service.send("k", '{"b":["é"],\n"a":1}')[0] == 201
    assert service.refused("k", {"a": 1, "b": ["e"]}) == (409, "IDEMPOTENCY_MISMATCH")
    assert len(service.done) == 1


@pytest.mark.parametrize("more", [{"user": OTHER}, {"path": "/stills"}])
def test_another_users_or_routes_key_is_another_key(service: Service, more: dict[str, str]) -> None:
    service.send("k", {"n": 1})
    assert "idempotency-replayed" not in service.send("k", {"n": 1}, **more)[2]
    assert "idempotency-replayed" not in service.send("k2", {"n": 2}, **more)[2]
    assert len(service.done) == 3


@pytest.mark.parametrize("key", ["", "k" * 256, "Zoë", "a\tb", "a\x7f", "a\n"])
def test_what_is_no_key_is_refused_by_the_headers_name(service: Service, records: Any, key: str) -> None:
    status, body, _ = service.send(key, {"n": 1})
    error = json.loads(body)["error"]
    assert (status, error["code"], error["details"][0]["field"]) == (422, "INVALID_FIELD", "Idempotency-Key")
    assert "1 to 255 printable ASCII" in error["message"]
    assert (service.done, records.count_documents({})) == ([], 0)


def test_the_longest_key_is_stored_as_a_hash(service: Service, records: Any) -> None:
    assert service.send("~" * 255, {"secret": "hunter2"})[0] == 201
    record = records.find_one()
    assert record["_id"].startswith(f"{OWNER}#")
    assert len(record["_id"]) == len(f"{OWNER}#") + 64
    assert "hunter2" not in str(record)


def die(service: Service, key: str, body: Any) -> None:
    """Send a request whose function is stopped before it answers; nobody can tell it from one that still runs."""
    service.act = stop(DiedError())
    with pytest.raises(DiedError):
        service.send(key, body)
    service.act = lambda: None


def test_while_the_first_runs_the_second_is_told_so(service: Service) -> None:
    die(service, "k", {"n": 1})
    status, body, headers = service.send("k", {"n": 1})
    assert (status, json.loads(body)["error"]["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert headers["retry-after"] == "1"
    assert service.refused("k", {"n": 2}) == (409, "IDEMPOTENCY_MISMATCH")
    assert service.done == []


def test_a_claim_lasts_as_long_as_its_function_may_run(service: Service, records: Any) -> None:
    before = datetime.now(UTC)
    die(service, "k", {"n": 1})
    left = records.find_one()["claimedUntil"] - before
    assert timedelta(seconds=28.9) <= left <= timedelta(seconds=34)


def test_the_request_of_a_function_that_died_is_taken_over_with_its_job(service: Service, records: Any) -> None:
    die(service, "k", {"n": 1})
    outlive(records)
    assert service.refused("k", {"n": 2}) == (409, "IDEMPOTENCY_MISMATCH")
    status, _, headers = service.send("k", {"n": 1})
    assert (status, "idempotency-replayed" in headers) == (201, False)
    first, second = service.job_ids
    assert first == second
    assert first is not None
    assert first.startswith("job_")
    assert service.send("k", {"n": 1})[2]["idempotency-replayed"] == "true"


@pytest.fixture
def begun(configure: Callable[..., None]) -> Job:
    """Return a job as a request that died has left it."""
    now = datetime.now(UTC)
    job = Job(
        id=f"job_{'0' * 24}",
        user_id=CALLER.user_id,
        key_id=CALLER.key_id,
        scopes=["grade"],
        task_type="adjust",
        target="LAMBDA",
        status="PROCESSING",
        payload={},
        created_at=now,
        queued_at=now,
        expires_at=now + timedelta(days=1),
    )
    assert repository.insert_job(job)
    return job


def test_a_job_that_is_there_is_answered_and_none_is_started(begun: Job, database: Database[Any]) -> None:
    found = compute_tasks.submit(CALLER, "auto_correct", TaskOptions(), TaskOptions(), begun.id)
    assert (found.id, found.task_type, found.status) == (begun.id, "adjust", "PROCESSING")
    assert database["computeTasks"].count_documents({}) == 1


def test_a_bulk_job_that_is_there_keeps_its_manifest(begun: Job, database: Database[Any]) -> None:
    """It is not even read which images there are: the bucket of this environment does not exist."""
    request = BulkGradeRequest(all_uploads=True, task_type="auto_correct")
    assert bulk.submit(CALLER, request, begun.id).job_id == begun.id
    assert database["computeTasks"].count_documents({}) == 1


@pytest.mark.parametrize(("error", "status"), [(ConflictError("taken"), 409), (UnavailableError("not now"), 503)])
def test_an_error_releases_the_key(service: Service, records: Any, error: Exception, status: int) -> None:
    service.act = stop(error)
    assert service.send("k", {"n": 1})[0] == status
    assert records.count_documents({}) == 0
    service.act = lambda: None
    assert service.send("k", {"n": 2})[0] == 201, "nothing was done, so that even another body is welcome"
    first, second = service.job_ids
    assert first != second, "a job that failed is no answer to a new try"


@pytest.mark.parametrize(("error", "status"), [(ValueError("a bug"), 500), (AutoReconnect("down"), 503)])
def test_what_may_have_come_of_a_crash_is_found_by_the_same_request(
    service: Service, error: Exception, status: int
) -> None:
    service.act = stop(error)
    assert service.send("k", {"n": 1})[0] == status
    service.act = lambda: None
    assert service.send("k", {"n": 2})[0] == 409
    assert service.send("k", {"n": 1})[0] == 201
    first, second = service.job_ids
    assert first == second


def test_an_invalid_body_does_not_take_the_key(service: Service, records: Any) -> None:
    assert service.send("k", "[1]")[0] == 422
    assert service.send("k", "{")[0] == 400
    assert records.count_documents({}) == 0


def test_an_answer_of_ours_that_is_wrong_is_not_kept(configure: Callable[..., None], records: Any) -> None:
    service = Service()
    service.answer = {1: object()}
    assert service.send("k", {"n": 1})[0] == 500
    [record] = records.find()
    assert (record["status"], record["answer"]) == ("INPROGRESS", "")


def test_an_answer_is_kept_for_a_day_and_not_longer(service: Service, records: Any) -> None:
    before = datetime.now(UTC)
    service.send("k", {"n": 1})
    expires_at = records.find_one()["expiresAt"]
    assert abs(expires_at - before - timedelta(seconds=KEPT_SECONDS)) < timedelta(seconds=5)
    assert KEPT_SECONDS == 24 * 3600
    # The server deletes once a minute; the end counts at once.
    records.update_one({}, {"$set": {"expiresAt": datetime.now(UTC) - timedelta(seconds=1)}})
    assert "idempotency-replayed" not in service.send("k", {"n": 2})[2]
    assert service.done == [{"n": 1}, {"n": 2}]
    first, second = service.job_ids
    assert first != second
    assert service.refused("k", {"n": 1}) == (409, "IDEMPOTENCY_MISMATCH")


def test_a_claim_on_what_expired_shows_nothing_of_it(service: Service, records: Any) -> None:
    service.send("k", {"n": 1})
    records.update_one({}, {"$set": {"expiresAt": datetime.now(UTC) - timedelta(seconds=1)}})
    die(service, "k", {"n": 1})
    assert service.refused("k", {"n": 1}) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert records.find_one()["answer"] == ""


def test_the_server_deletes_what_expired(database: Database[Any]) -> None:
    create_indexes(database)
    index = database["idempotency"].index_information()["ttl"]
    assert (index["key"], index["expireAfterSeconds"]) == ([("expiresAt", 1)], 0)


def test_mongodb_down_is_a_503_before_any_work(service: Service, configure: Callable[..., None]) -> None:
    configure(MONGODB_URI="mongodb://127.0.0.1:1/", MONGODB_TIMEOUT_MS="100")
    assert service.refused("k", {"n": 1}) == (503, "UNAVAILABLE")
    assert service.done == []


@pytest.fixture
def own_mongod(tmp_path: Path, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Mongod]:
    """Return a server of the test's own, to stop."""
    monkeypatch.delenv("MONGODB_URI")
    server = Mongod(tmp_path)
    server.start()
    server.wait()
    configure(MONGODB_URI=server.uri, MONGODB_TIMEOUT_MS="500")
    yield server
    server.stop(keep=False)


def test_work_that_is_done_is_answered_though_mongodb_is_gone_by_then(service: Service, own_mongod: Mongod) -> None:
    service.act = lambda: own_mongod.stop(keep=False)
    assert service.send("k", {"n": 1})[0] == 201
    service.act = lambda: None
    assert service.refused("k", {"n": 1}) == (503, "UNAVAILABLE")
    assert len(service.done) == 1


def test_an_error_is_told_though_mongodb_is_gone_by_then(service: Service, own_mongod: Mongod) -> None:
    def act() -> None:
        own_mongod.stop(keep=False)
        raise ConflictError("taken", code="TAKEN")

    service.act = act
    assert service.refused("k", {"n": 1}) == (409, "TAKEN")


def layer() -> MongoPersistenceLayer:
    made = MongoPersistenceLayer()
    made.configure(
        IdempotencyConfig(event_key_jmespath="key", payload_validation_jmespath="payload", hash_function="sha256"),
        key_prefix=OWNER,
    )
    return made


REQUEST = {"key": "k", "payload": "p"}


def claims(one: MongoPersistenceLayer, milliseconds: int = 29_000) -> bool:
    try:
        one.save_inprogress(REQUEST, milliseconds)
    except IdempotencyItemAlreadyExistsError:
        return False
    return True


def test_of_many_at_once_one_claims_a_key(configure: Callable[..., None]) -> None:
    mongo.get_database()
    with ThreadPoolExecutor(16) as threads:
        for _ in range(20):
            rivals = [layer() for _ in range(16)]
            won = [one for one, has in zip(rivals, threads.map(claims, rivals), strict=True) if has]
            assert len(won) == 1
            won[0].delete_record(REQUEST, ValueError())


def test_of_many_at_once_one_takes_over(configure: Callable[..., None], records: Any) -> None:
    with ThreadPoolExecutor(16) as threads:
        for _ in range(20):
            dead = layer()
            assert claims(dead)
            outlive(records)
            rivals = [layer() for _ in range(16)]
            won = [one for one, has in zip(rivals, threads.map(claims, rivals), strict=True) if has]
            assert [one.job_id for one in won] == [dead.job_id]
            won[0].delete_record(REQUEST, ValueError())


def test_who_was_taken_for_dead_changes_nothing_any_more(configure: Callable[..., None], records: Any) -> None:
    late, heir = layer(), layer()
    assert claims(late)
    outlive(records)
    assert claims(heir)
    late.save_success(REQUEST, {"from": "late"})
    late.delete_record(REQUEST, ValueError())
    assert records.find_one()["status"] == "INPROGRESS"
    heir.save_success(REQUEST, {"from": "heir"})
    late.save_success(REQUEST, {"from": "late"})
    late.delete_record(REQUEST, ValueError())
    assert layer().get_record(REQUEST).response_json_as_dict() == {"from": "heir"}  # type: ignore[union-attr]


STEPS = st.lists(
    st.tuples(st.sampled_from(["works", "fails", "dies"]), st.sampled_from("ab"), st.integers(1, 2), st.booleans()),
    max_size=12,
)


@given(steps=STEPS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_is_sent_in_whatever_order_work_is_done_once(
    service: Service, records: Any, steps: list[tuple[str, str, int, bool]]
) -> None:
    """Against a model: of each key the body that has it, and the answer, None while there is none."""
    records.delete_many({})
    model: dict[str, tuple[int, str | None]] = {}
    outlived: set[str] = set()
    for end, key, n, later in steps:
        if later:
            outlive(records)
            outlived = {name for name, (_, answer) in model.items() if answer is None}
        before = len(service.done)
        service.act = {"works": lambda: None, "fails": stop(ConflictError("no")), "dies": stop(DiedError())}[end]
        held, answer = model.get(key, (n, None))
        begins = key not in model or (answer is None and key in outlived and held == n)
        if begins and end == "dies":
            with pytest.raises(DiedError):
                service.send(key, {"n": n})
            model[key] = (n, None)
            outlived.discard(key)
            continue
        status, body, headers = service.send(key, {"n": n})
        replayed = "idempotency-replayed" in headers
        if begins and end == "works":
            assert (status, replayed, len(service.done)) == (201, False, before + 1)
            model[key] = (n, body)
            continue
        assert len(service.done) == before
        if begins:
            assert json.loads(body)["error"]["code"] == "CONFLICT"
            model.pop(key, None)
            outlived.discard(key)
        elif held != n:
            assert json.loads(body)["error"]["code"] == "IDEMPOTENCY_MISMATCH"
        elif answer is None:
            assert json.loads(body)["error"]["code"] == "IDEMPOTENCY_IN_PROGRESS"
        else:
            assert (status, body, replayed) == (201, answer, True)
