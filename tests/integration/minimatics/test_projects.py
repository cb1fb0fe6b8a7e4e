"""Projects and their versions on a real MongoDB and the embedded S3."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout

from local.stack import Stack
from studio import indexes, storage
from studio.caller import Caller
from studio.errors import ConflictError, NotFoundError, StudioError
from studio.minimatics import repository, service
from studio.minimatics.api_models import DuplicateProjectRequest, StoredProject
from tests.integration.conftest import Configure, aws_of
from tests.memory import peak_bytes


def new_caller() -> Caller:
    return Caller(user_id=f"usr_{uuid.uuid4().hex[:24]}", key_id="key_1", scopes=frozenset({"export"}))


CALLER = new_caller()
OTHER = new_caller()
IMAGE = f"users/{CALLER.user_id}/uploads/upl_000000000000000000000001"


@pytest.fixture
def projects(configure: Configure, stack: Stack, database: Database[Any]) -> Iterator[Configure]:
    """Set the environment of projects: a database of the test's own, one image in the embedded S3."""

    def apply(**variables: str) -> None:
        configure(BUCKET_NAME=stack.bucket_name, **aws_of(stack), **variables)
        storage._connect.cache_clear()

    apply()
    indexes.create_indexes(database)
    storage.write(IMAGE, b"pixels", "image/png", tags={})
    yield apply
    storage._connect.cache_clear()


def body(name: str = "Fox", frames: int = 24, **more: Any) -> dict[str, Any]:
    return {"name": name, "shots": [{"image_key": IMAGE, "duration_frames": frames}], **more}


def refusal(error: type[StudioError], call: Any, *arguments: Any) -> StudioError:
    with pytest.raises(error) as caught:
        call(*arguments)
    return caught.value


class Projects(RuleBasedStateMachine):
    """Projects of a user's, and a model of them: the lengths of each one's films, by version."""

    def __init__(self) -> None:
        super().__init__()
        self.caller = CALLER
        for item in service.list_projects(CALLER, 100, None).items:
            service.delete_project(CALLER, item.project_id)
        self.model: dict[str, list[int]] = {}
        self.gone: list[str] = []
        self.seen: list[StoredProject] = []  # what an editor who is slow has on the screen

    def pick(self, data: st.DataObject) -> str | None:
        known = [*self.model, *self.gone]
        return data.draw(st.sampled_from(known)) if known else None

    @rule(frames=st.integers(1, 99))
    def create(self, frames: int) -> None:
        made = service.create_project(CALLER, body(frames=frames))
        assert (made.version, made.duration_frames) == (1, frames)
        self.model[made.project_id] = [frames]

    @rule(data=st.data(), frames=st.integers(1, 99), version=st.none() | st.integers(1, 4))
    def update(self, data: st.DataObject, frames: int, version: int | None) -> None:
        if not (project_id := self.pick(data)):
            return
        versions = self.model.get(project_id)
        arguments = service.update_project, CALLER, project_id, body(frames=frames, version=version)
        if versions is None:
            assert refusal(NotFoundError, *arguments).code == "PROJECT_NOT_FOUND"
        elif version not in (None, len(versions)):
            error = refusal(ConflictError, *arguments)
            assert error.code == "PROJECT_CHANGED"
            assert f"is {len(versions)} by now; you changed version {version}" in error.message
        else:
            versions.append(frames)
            assert service.update_project(*arguments[1:]).version == len(versions)

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        if (project_id := self.pick(data)) and (found := repository.find_project(project_id, CALLER.user_id)):
            self.seen.append(found)

    @rule(data=st.data(), frames=st.integers(1, 99))
    def replace_what_was_seen_before(self, data: st.DataObject, frames: int) -> None:
        if not self.seen:
            return
        seen = data.draw(st.sampled_from(self.seen))
        new = seen.model_copy(update={"version": seen.version + 1, "duration_frames": frames})
        versions = self.model.get(seen.id, [])
        assert repository.replace_project(seen, new) == (seen.version == len(versions))
        if seen.version == len(versions):
            versions.append(frames)

    @rule(data=st.data(), version=st.none() | st.integers(1, 4))
    def duplicate(self, data: st.DataObject, version: int | None) -> None:
        if not (project_id := self.pick(data)):
            return
        versions = self.model.get(project_id)
        arguments = service.duplicate_project, CALLER, project_id, DuplicateProjectRequest(version=version)
        if versions is None or (version or 1) > len(versions):
            refusal(NotFoundError, *arguments)
        else:
            made = service.duplicate_project(*arguments[1:])
            assert made.version == 1
            self.model[made.project_id] = [versions[(version or 0) - 1]]

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        project_id = self.pick(data)
        if project_id in self.model:
            service.delete_project(CALLER, project_id)
            del self.model[project_id]
            self.gone.append(project_id)
        elif project_id:
            assert refusal(NotFoundError, service.delete_project, CALLER, project_id).code == "PROJECT_NOT_FOUND"

    @invariant()
    def every_version_is_what_it_was(self) -> None:
        for project_id, versions in self.model.items():
            for number, frames in enumerate(versions, 1):
                found = service.get_project(CALLER, project_id, number)
                assert (found.version, found.latest_version) == (number, len(versions))
                assert found.duration_frames == frames
            assert service.get_project(CALLER, project_id, None).version == len(versions)
            error = refusal(NotFoundError, service.get_project, CALLER, project_id, len(versions) + 1)
            assert error.code == "VERSION_NOT_FOUND"

    @invariant()
    def pages_have_every_project_once_newest_first(self) -> None:
        seen: list[str] = []
        cursor = None
        while True:
            page = service.list_projects(CALLER, 2, cursor)
            seen += [item.project_id for item in page.items]
            if (cursor := page.next_cursor) is None:
                break
        assert seen == sorted(self.model, reverse=True)

    @invariant()
    def another_user_sees_none_of_it(self) -> None:
        assert service.list_projects(OTHER, 100, None).items == []
        for project_id in self.model:
            refusal(NotFoundError, service.get_project, OTHER, project_id, 1)
            refusal(NotFoundError, service.delete_project, OTHER, project_id)
            refusal(NotFoundError, service.duplicate_project, OTHER, project_id, DuplicateProjectRequest())


@pytest.mark.usefixtures("projects")
def test_no_order_of_events_loses_or_changes_a_version() -> None:
    checks = list(HealthCheck)
    run_state_machine_as_test(
        Projects,
        settings=settings(max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=checks),
    )


@pytest.mark.usefixtures("projects")
def test_editors_at_once_make_a_version_each() -> None:
    project_id = service.create_project(CALLER, body()).project_id
    with ThreadPoolExecutor(6) as pool:
        made = list(
            pool.map(lambda frames: service.update_project(CALLER, project_id, body(frames=frames)), range(100, 118))
        )
    assert sorted(project.version for project in made) == list(range(2, 20))
    for project in made:
        kept = service.get_project(CALLER, project_id, project.version)
        assert kept.duration_frames == project.duration_frames


@pytest.mark.usefixtures("projects")
def test_of_editors_who_changed_the_same_version_one_wins() -> None:
    project_id = service.create_project(CALLER, body()).project_id

    def change(frames: int) -> int | None:
        try:
            return service.update_project(CALLER, project_id, body(frames=frames, version=1)).duration_frames
        except ConflictError:
            return None

    with ThreadPoolExecutor(6) as pool:
        [won] = [frames for frames in pool.map(change, range(100, 112)) if frames]
    latest = service.get_project(CALLER, project_id, None)
    assert (latest.version, latest.duration_frames) == (2, won)
    assert service.get_project(CALLER, project_id, 1).duration_frames == 24


@pytest.mark.usefixtures("projects")
def test_a_function_that_dies_in_the_middle_of_a_change_is_in_nobodys_way(database: Database[Any]) -> None:
    project_id = service.create_project(CALLER, body()).project_id
    latest = repository.find_project(project_id, CALLER.user_id)
    assert latest
    kept = latest.to_mongo() | {"_id": f"{project_id}:1", "projectId": project_id}
    database["minimaticsProjectVersions"].insert_one(kept)  # and no more
    assert service.get_project(CALLER, project_id, None).latest_version == 1
    assert service.update_project(CALLER, project_id, body(frames=99, version=1)).version == 2
    assert service.get_project(CALLER, project_id, 1).duration_frames == 24


@pytest.mark.usefixtures("projects")
def test_nothing_is_left_of_a_project_that_is_deleted_while_it_is_changed(database: Database[Any]) -> None:
    project_id = service.create_project(CALLER, body()).project_id
    service.update_project(CALLER, project_id, body())
    latest = repository.find_project(project_id, CALLER.user_id)
    assert latest
    service.delete_project(CALLER, project_id)
    assert not repository.replace_project(latest, latest.model_copy(update={"version": 3}))
    for collection in ("minimaticsProjects", "minimaticsProjectVersions"):
        assert database[collection].count_documents({}) == 0, collection


@pytest.mark.usefixtures("projects")
def test_deleting_more_than_there_is_time_for_is_gone_on_with(
    database: Database[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions go outside the transaction: one that had them all would begin again each time, and never end."""
    project_id = service.create_project(CALLER, body()).project_id
    service.update_project(CALLER, project_id, body())
    service.update_project(CALLER, project_id, body())

    def run_out_of_time(_: Any) -> bool:
        raise ExecutionTimeout("operation exceeded time limit")

    with monkeypatch.context() as patch:
        patch.setattr(repository, "run_transaction", run_out_of_time)
        with pytest.raises(ExecutionTimeout):
            service.delete_project(CALLER, project_id)
        refusal(NotFoundError, service.delete_project, OTHER, project_id)
    assert database["minimaticsProjectVersions"].count_documents({}) == 0
    assert service.get_project(CALLER, project_id, None).version == 3
    service.delete_project(CALLER, project_id)
    assert refusal(NotFoundError, service.delete_project, CALLER, project_id).code == "PROJECT_NOT_FOUND"


def test_there_are_limits_that_are_told(projects: Configure) -> None:
    projects(PROJECTS_MAX="2", PROJECT_VERSIONS_MAX="2", PROJECT_SHOTS_MAX="3", PROJECT_MAX_BYTES="3000")
    first = service.create_project(CALLER, body())
    service.duplicate_project(CALLER, first.project_id, DuplicateProjectRequest())
    for call in (
        lambda: service.create_project(CALLER, body()),
        lambda: service.duplicate_project(CALLER, first.project_id, DuplicateProjectRequest()),
    ):
        error = refusal(ConflictError, call)
        assert (error.code, error.message) == ("TOO_MANY_PROJECTS", "a user may have 2 projects, and you have as many")
    assert service.create_project(OTHER, other_body()).version == 1
    service.update_project(CALLER, first.project_id, body())
    error = refusal(ConflictError, service.update_project, CALLER, first.project_id, body())
    assert error.code == "TOO_MANY_VERSIONS"
    assert error.message.startswith("a project may have 2 versions; this one has 2")
    shots = body()["shots"] * 4
    error = refusal(StudioError, service.update_project, CALLER, first.project_id, body(shots=shots))
    assert (error.status, error.message) == (422, "shots: a project may have 3 shots; got 4")
    clips = [{"audio_key": IMAGE}] * 201
    error = refusal(StudioError, service.update_project, CALLER, first.project_id, body(shots=shots, audio=clips))
    assert error.message.endswith("; audio: a project may have 200 audio clips; got 201")
    long = body() | {"shots": [{**shots[0], "caption": {"text": "x" * 500}}] * 3}
    error = refusal(StudioError, service.update_project, CALLER, first.project_id, long)
    assert (error.status, error.code) == (413, "PROJECT_TOO_LARGE")
    assert error.message.startswith("a project may have 3,000 bytes, every default written out; got 3,")


def test_what_a_users_versions_have_in_all_is_limited(projects: Configure, database: Database[Any]) -> None:
    first = service.create_project(CALLER, body())
    size = repository.sum_bytes(CALLER.user_id)
    assert size == len(json.dumps(database["minimaticsProjects"].find_one()["film"]))  # type: ignore[index]
    projects(PROJECTS_MAX_BYTES=str(4 * size + 100))
    service.update_project(CALLER, first.project_id, body())
    service.update_project(CALLER, first.project_id, body())
    copy = service.duplicate_project(CALLER, first.project_id, DuplicateProjectRequest())
    assert repository.sum_bytes(CALLER.user_id) == 4 * size, "the copy has no more than a version"
    for call in (
        lambda: service.create_project(CALLER, body()),
        lambda: service.update_project(CALLER, copy.project_id, body()),
        lambda: service.duplicate_project(CALLER, copy.project_id, DuplicateProjectRequest()),
    ):
        error = refusal(ConflictError, call)
        assert error.code == "PROJECTS_TOO_LARGE"
        assert f"may have {4 * size + 100:,} bytes" in error.message
        assert f"yours have {4 * size:,}, and this one has {size:,}" in error.message
    assert service.create_project(OTHER, other_body()).version == 1
    service.delete_project(CALLER, first.project_id)
    assert repository.sum_bytes(CALLER.user_id) == size
    assert service.update_project(CALLER, copy.project_id, body()).version == 2


@pytest.mark.parametrize(
    ("shots", "status", "message"),
    [
        ([0] * 1_000_000, 422, "shots: a project may have 2,000 shots; got 1,000,000"),
        ([{"colours": [0] * 1_000_000}], 413, "a project may have 200,000 values and parts; this one has more"),
        ([{"image_key": "x" * 4_000_000}], 413, "a project may have 4,000,000 bytes; got 4,000,030"),
    ],
)
@pytest.mark.usefixtures("projects")
def test_what_is_far_too_large_is_refused_unread(shots: list[Any], status: int, message: str) -> None:
    def refuse() -> None:
        error = refusal(StudioError, service.create_project, CALLER, {"shots": shots})
        assert (error.status, error.message) == (status, message)

    assert peak_bytes(refuse) < 20e6


@pytest.mark.usefixtures("projects")
def test_what_is_answered_can_be_sent_back() -> None:
    made = service.create_project(CALLER, body())
    answer = json.loads(made.model_dump_json(by_alias=True))
    again = service.update_project(CALLER, made.project_id, answer)
    assert (again.version, again.shots) == (2, made.shots)
    assert again.updated_at > made.updated_at, "even within one second"
    assert again == service.get_project(CALLER, made.project_id, None), "to the millisecond, as MongoDB keeps it"
    assert refusal(ConflictError, service.update_project, CALLER, made.project_id, answer).code == "PROJECT_CHANGED"
    copy = service.create_project(CALLER, answer)
    assert (copy.version, copy.shots) == (1, made.shots)
    assert copy.project_id != made.project_id


def other_body() -> dict[str, Any]:
    image = IMAGE.replace(CALLER.user_id, OTHER.user_id)
    storage.write(image, b"pixels", "image/png", tags={})
    return body() | {"shots": [{"image_key": image, "duration_frames": 24}]}


@pytest.mark.usefixtures("projects")
def test_the_indexes_serve_the_queries(database: Database[Any]) -> None:
    project_id = service.create_project(CALLER, body()).project_id
    service.update_project(CALLER, project_id, body())
    for collection, query, order in (
        ("minimaticsProjects", {"userId": CALLER.user_id, "_id": {"$lt": "prj_f"}}, {"_id": -1}),
        ("minimaticsProjectVersions", {"userId": CALLER.user_id, "projectId": project_id, "version": 1}, None),
    ):
        cursor = database[collection].find(query)
        plan = (cursor.sort(list(order.items())) if order else cursor).explain()["queryPlanner"]["winningPlan"]
        assert '"SORT"' not in str(plan).replace("'", '"')
        assert "IXSCAN" in str(plan)
        assert "COLLSCAN" not in str(plan)
    total = [{"$match": {"userId": CALLER.user_id}}, {"$group": {"_id": None, "bytes": {"$sum": "$storedBytes"}}}]
    explained = str(database.command("explain", {"aggregate": "minimaticsProjects", "pipeline": total, "cursor": {}}))
    assert "PROJECTION_COVERED" in explained, "films are read for the sum of their sizes"
