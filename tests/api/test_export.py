"""Films through the API: a state machine, a container a segment, judged by Debian's ffmpeg."""

import io
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import skimage.data
from PIL import Image

from local.export import Folder
from local.stack import Stack
from studio.minimatics.film import finish_film, render_segment
from studio.minimatics.models import Project
from studio.minimatics.segments import Plan, plan_film
from studio.minimatics.timeline import Timeline
from studio.object_keys import upload_key
from tests.unit.minimatics import judge
from tests.unit.minimatics.test_audio import tone, write_wav
from tests.waiting import SECONDS, until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

EXPORT = "/minimatics/exportVideo"
FINAL = ("COMPLETED", "FAILED", "CANCELLED")


class Exports:
    """A user's project with its media, what exports it, and what it must come to."""

    def __init__(self, stack: Stack, user: Any, folder: Path) -> None:
        self.stack, self.user, self.folder = stack, user, folder
        self.s3: S3Client = stack.client("s3")
        self.steps: SFNClient = stack.client("stepfunctions")
        self.machine = stack.functions["ExportVideoFunction"].environment["MINIMATICS_EXPORT_STATE_MACHINE"]
        self.images = [
            self.upload(number, _png(name)) for number, name in enumerate(("coffee", "astronaut", "chelsea"))
        ]
        write_wav(folder / "tone.wav", tone(3, 440, 0.25))
        self.sound = self.upload(3, (folder / "tone.wav").read_bytes())
        self.project = user.http.post("/minimatics/projects", json=self.film()).raise_for_status().json()
        self.project_id: str = self.project["project_id"]

    def upload(self, number: int, data: bytes) -> str:
        """Store an object of the user's, and beside it a file of the same name."""
        key = upload_key(self.user.user_id, f"upl_{number:024x}")
        self.s3.put_object(Bucket=self.stack.bucket_name, Key=key, Body=data)
        file = self.folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return key

    def film(self) -> dict[str, Any]:
        coffee, astronaut, chelsea = self.images
        dissolve = {"type": "dissolve", "duration_frames": 12}
        return {
            "size": {"width": 640, "height": 360},
            "fps": 23.976,
            "shots": [
                {"image_key": coffee, "duration_frames": 60, "motion": "ken_burns_in", "transition": dissolve},
                {
                    "image_key": astronaut,
                    "duration_frames": 60,
                    "motion": "pan_left",
                    "caption": {"text": "Астронавт"},
                    "grade": {"auto": True, "preset_id": "builtin_vivid"},
                },
                {"image_key": chelsea, "duration_frames": 42},
            ],
            "audio": [{"audio_key": self.sound, "start_seconds": 0.5}],
            "output": {"captions": "both"},
        }

    def submit(self, **more: Any) -> str:
        answer = self.user.http.post(EXPORT, json={"projectId": self.project_id, **more})
        assert answer.status_code == 202, answer.text
        assert answer.json().keys() == {"job_id", "status", "status_url"}
        job_id: str = answer.json()["job_id"]
        return job_id

    def status(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.user.http.get(f"/compute-tasks/{job_id}/status").raise_for_status().json()
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = until(lambda: (job := self.status(job_id))["status"] in FINAL and job)
        return job

    def pids(self, job_id: str) -> list[int]:
        """Return the processes of a job's containers."""
        return [pid for name, pid in self.stack.pids["containers"].items() if name.startswith(job_id)]

    def rendering(self, job_id: str) -> list[int]:
        """Wait until frames are rendered, and return the processes of its containers."""

        def are_there() -> list[int] | None:
            pids = self.pids(job_id)
            return pids if self.status(job_id)["progress"]["percent"] else None

        pids: list[int] = until(are_there)
        return pids

    def execution(self, job_id: str) -> str:
        return f"{self.machine.replace(':stateMachine:', ':execution:')}:{job_id}"

    def execution_ended(self, job_id: str) -> Any:
        arn = self.execution(job_id)
        return until(
            lambda: (found := self.steps.describe_execution(executionArn=arn))["status"] != "RUNNING" and found
        )

    def objects(self, job_id: str) -> list[str]:
        prefix = f"users/{self.user.user_id}/jobs/{job_id}/"
        listed = self.s3.list_objects_v2(Bucket=self.stack.bucket_name, Prefix=prefix)
        return [item["Key"].removeprefix(prefix) for item in listed.get("Contents", [])]

    def expire(self, job_id: str) -> bool:
        """Return whether all that a job has left is marked for expiry."""
        keys = [f"users/{self.user.user_id}/jobs/{job_id}/{name}" for name in self.objects(job_id)]
        tags = [self.s3.get_object_tagging(Bucket=self.stack.bucket_name, Key=key)["TagSet"] for key in keys]
        return all(found == [{"Key": "kind", "Value": "result"}] for found in tags)

    def download(self, job: dict[str, Any]) -> Path:
        result = self.user.http.get(job["result_url"]).raise_for_status().json()
        file = self.folder / f"{job['job_id']}.mp4"
        file.write_bytes(httpx.get(result["film_url"]).raise_for_status().content)
        return file

    def rendered_here(self) -> Path:
        """Render the film in this process, by the same plan."""
        project = Project.model_validate(self.film())
        plan = plan_film(Timeline(project), target_seconds=0.7)
        sources, paths = Folder(self.folder), [self.folder / f"{segment.index}.part" for segment in plan.segments]
        for segment, path in zip(plan.segments, paths, strict=True):
            render_segment(project, plan, segment, sources, path)
        return finish_film(project, plan, paths, sources, self.folder / "expected.mp4").video


def _png(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(getattr(skimage.data, name)()).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def exports(stack: Stack, user: Any, tmp_path: Path) -> Iterator[Exports]:
    made = Exports(stack, user, tmp_path)
    yield made
    for job in user.http.get("/compute-tasks").json()["items"]:
        if job["status"] not in FINAL:
            user.http.post(f"/compute-tasks/{job['job_id']}/cancel")


def test_a_project_becomes_the_film_that_one_process_would_make(exports: Exports) -> None:
    """One of its segments is killed on the way."""
    # Looked at from the beginning: a quick machine renders what is left after the kill within two reports.
    job_id, seen, previews, killed = exports.submit(), [], [], False
    deadline = time.monotonic() + SECONDS
    while (job := exports.status(job_id))["status"] not in FINAL:
        assert time.monotonic() < deadline, job
        seen.append(job["progress"])
        if url := job["progress"]["preview_url"]:
            previews.append(httpx.get(url))
        if not killed and job["progress"]["percent"] and (pids := exports.pids(job_id)):
            with suppress(ProcessLookupError):
                os.kill(pids[0], signal.SIGKILL)
                killed = True
        time.sleep(0.1)
    assert killed
    assert (job["status"], job["error"], job["attempt"], job["target"]) == ("COMPLETED", None, 1, "BATCH")
    percents = [progress["percent"] for progress in seen]
    assert percents == sorted(percents)
    assert len(set(percents)) >= 3
    first, *later = [progress for progress in seen if progress["stage"].endswith(" of 150 frames")]
    # When it will be done takes two reports to tell, and a quick machine may render within one.
    assert all(progress["eta_seconds"] is not None for progress in later if progress["percent"] > first["percent"])
    assert any(Image.open(io.BytesIO(preview.content)).size == (640, 360) for preview in previews if preview.is_success)
    assert job["progress"] == {"percent": 100, "stage": "done", "eta_seconds": 0, "preview_url": None}

    result = exports.user.http.get(job["result_url"]).raise_for_status().json()
    assert (result["project_id"], result["version"], result["frames"]) == (exports.project_id, 1, 150)
    film = exports.download(job)
    assert film.stat().st_size == result["size_bytes"]
    assert judge.frame_hashes(film) == judge.frame_hashes(exports.rendered_here())
    streams = judge.probe(film)
    assert (streams["video"]["nb_read_frames"], streams["video"]["r_frame_rate"]) == ("150", "24000/1001")
    assert (streams["video"]["color_space"], streams["video"]["color_range"]) == ("bt709", "tv")
    assert float(streams["audio"]["duration"]) == pytest.approx(150 * 1001 / 24000, abs=0.001)
    assert abs(judge.sound(film)[48_000:96_000, 0]).max() == pytest.approx(0.25, abs=0.02)
    assert "Астронавт" in httpx.get(result["srt_url"]).text
    assert httpx.get(result["webvtt_url"]).text.startswith("WEBVTT")
    assert httpx.get(result["edl_url"]).text.startswith("TITLE: film\r\nFCM: NON-DROP FRAME\r\n001  AX ")
    assert Image.open(io.BytesIO(httpx.get(result["poster_url"]).content)).size == (640, 360)

    execution = exports.execution_ended(job_id)
    assert json.loads(execution["output"]) == {"film_key": result["film_key"]}
    kinds = ("edl", "mp4", "poster.jpg", "srt", "vtt")
    assert exports.objects(job_id) == [f"film.{kind}" for kind in kinds], "segments are gone"
    assert exports.expire(job_id)


@pytest.mark.parametrize(
    ("codec", "kind", "content_type"),
    [("vp9", "webm", "video/webm"), ("prores", "mov", "video/quicktime"), ("gif", "gif", "image/gif")],
)
def test_a_film_comes_as_what_is_asked_for(exports: Exports, codec: str, kind: str, content_type: str) -> None:
    job = exports.ended(exports.submit(output={"codec": codec, "quality": "draft"}))
    assert (job["status"], job["error"]) == ("COMPLETED", None)
    result = exports.user.http.get(job["result_url"]).raise_for_status().json()
    assert result["film_key"].endswith(f"/film.{kind}")
    answer = httpx.get(result["film_url"]).raise_for_status()
    assert answer.headers["content-type"] == content_type
    film = exports.folder / f"film.{kind}"
    film.write_bytes(answer.content)
    streams = judge.probe(film)
    assert (streams["video"]["codec_name"], streams["video"]["nb_read_frames"]) == (codec, "150")
    assert ("audio" in streams) == (codec != "gif")


def test_a_cancelled_export_has_no_process_and_leaves_nothing_for_ever(exports: Exports) -> None:
    job_id = exports.submit(output={"quality": "high"})
    pids = exports.rendering(job_id)
    started = time.monotonic()
    exports.user.http.post(f"/compute-tasks/{job_id}/cancel").raise_for_status()
    until(lambda: not any(map(runs, pids)) and not exports.pids(job_id))
    assert time.monotonic() - started < 25, "it is killed after 30 s"
    assert exports.execution_ended(job_id)["status"] == "ABORTED"
    job = exports.status(job_id)
    assert (job["status"], job["error"]) == ("CANCELLED", None)
    assert exports.user.http.get(f"/compute-tasks/{job_id}/result").json()["error"]["code"] == "JOB_CANCELLED"
    left = exports.objects(job_id)
    assert not [name for name in left if name.startswith("film")]
    assert exports.expire(job_id)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("what", ["no image", "broken image", "empty audio", "no project"])
def test_what_no_film_can_be_made_of_is_named(exports: Exports, what: str) -> None:
    image, sound = exports.images[1], exports.sound
    expected = {
        "no image": ("MEDIA_INVALID", ["shots.1.image_key", image]),
        "broken image": ("MEDIA_INVALID", ["shots.1.image_key", image]),
        "empty audio": ("MEDIA_INVALID", ["audio.0.audio_key", sound]),
        "no project": ("PROJECT_DELETED", [exports.project_id]),
    }
    match what:
        case "no image":
            exports.s3.delete_object(Bucket=exports.stack.bucket_name, Key=image)
        case "broken image":
            exports.upload(1, _png("astronaut")[:40_000])
        case "empty audio":
            exports.upload(3, b"")
    job_id = exports.submit()
    if what == "no project":
        exports.rendering(job_id)
        exports.user.http.delete(f"/minimatics/projects/{exports.project_id}").raise_for_status()
    job = exports.ended(job_id)
    code, named = expected[what]
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("FAILED", code, 1), job
    assert all(name in job["error"]["message"] for name in named), job
    assert exports.execution_ended(job_id)["status"] == "FAILED"
    until(lambda: not exports.pids(job_id))
    assert exports.user.http.get(f"/compute-tasks/{job_id}/result").json()["error"]["code"] == "JOB_FAILED"
    assert not [name for name in exports.objects(job_id) if name.startswith("film")]
    assert exports.expire(job_id)
    assert exports.status(job_id)["error"] == job["error"], "the event of the failed execution changed it"


def test_a_segment_that_is_lost_again_and_again_fails_the_export(exports: Exports) -> None:
    job_id, lost = exports.submit(), [0]
    for _ in range(3):
        pid = until(
            lambda: (found := exports.stack.pids["containers"].get(f"{job_id}-0")) not in (*lost, None) and found
        )
        os.kill(pid, signal.SIGKILL)
        lost.append(pid)
    job = exports.ended(job_id)
    assert (job["status"], job["error"]["code"]) == ("FAILED", "EXECUTION_FAILED")
    assert job["error"]["message"] == "Essential container in task exited, exit code 137"
    until(lambda: not exports.pids(job_id))
    assert not [name for name in exports.objects(job_id) if name.startswith("film")]


def test_an_execution_started_by_hand_is_a_job_that_can_be_aborted_and_redriven(exports: Exports) -> None:
    earlier, name = exports.submit(), "by-hand-" + exports.project_id
    exports.user.http.post(f"/compute-tasks/{earlier}/cancel").raise_for_status()
    given = json.dumps({"project_id": exports.project_id})
    exports.steps.start_execution(stateMachineArn=exports.machine, name=name, input=given)
    until(lambda: exports.user.http.get(f"/compute-tasks/{name}/status").is_success)
    first = exports.user.http.get("/compute-tasks", params={"limit": 1}).json()
    second = exports.user.http.get("/compute-tasks", params={"cursor": first["next_cursor"]}).json()
    assert [[job["job_id"] for job in page["items"]] for page in (first, second)] == [[name], [earlier]]
    exports.rendering(name)
    exports.steps.stop_execution(executionArn=exports.execution(name), error="Console", cause="by hand")
    job = exports.ended(name)
    assert (job["status"], job["error"]) == ("CANCELLED", {"code": "ABORTED", "message": "Console: by hand"})
    until(lambda: not exports.pids(name))
    reached = exports.status(name)["progress"]["percent"]

    exports.steps.redrive_execution(executionArn=exports.execution(name))
    until(lambda: exports.status(name)["status"] != "CANCELLED")
    assert exports.status(name)["progress"]["percent"] >= reached
    job = exports.ended(name)
    assert (job["status"], job["attempt"], job["error"]) == ("COMPLETED", 2, None)
    assert judge.frame_hashes(exports.download(job)) == judge.frame_hashes(exports.rendered_here())
    assert exports.execution_ended(name)["redriveCount"] == 1


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "projectId: Field required"),
        ({"project_id": "prj_" + "0" * 24}, "there is no project prj_"),
        ({"Comment": "Insert your JSON here"}, "Comment"),
    ],
)
def test_an_execution_started_by_hand_without_a_project_says_so(exports: Exports, given: Any, why: str) -> None:
    answer = exports.steps.start_execution(stateMachineArn=exports.machine, input=json.dumps(given))
    name = answer["executionArn"].rpartition(":")[2]
    execution = exports.execution_ended(name)
    assert execution["status"] == "FAILED"
    assert why in json.loads(execution["cause"])["errorMessage"]
    assert exports.user.http.get(f"/compute-tasks/{name}/status").status_code == 404


def test_a_dry_run_tells_the_plan_and_what_is_missing(exports: Exports) -> None:
    exports.user.http.put(f"/minimatics/projects/{exports.project_id}", json=exports.film() | {"fps": 30, "audio": []})
    answer = exports.user.http.post(EXPORT, json={"project_id": exports.project_id, "version": 1, "dry_run": True})
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert (plan["version"], plan["fps"], plan["frames"]) == (1, "24000/1001", 150)
    expected = plan_film(Timeline(Project.model_validate(exports.film())), target_seconds=0.7)
    assert len(expected.segments) == 3
    assert Plan(frames=150, encoder_threads=2, segments=plan["segments"]) == expected
    assert plan["estimate"]["seconds"] > expected.cost_seconds / 6
    assert plan["estimate"]["cost_usd"] > 0
    assert "Fargate" in plan["estimate"]["basis"]
    assert plan["problems"] == []

    exports.s3.delete_object(Bucket=exports.stack.bucket_name, Key=exports.images[2])
    body = {"projectId": exports.project_id, "dry_run": True, "size": "2160p", "output": {"codec": "vp9"}}
    latest = exports.user.http.post(EXPORT, json=body).raise_for_status().json()
    assert (latest["version"], latest["fps"], latest["size"]["width"]) == (2, "30", 3840)
    assert latest["output"]["container"] == "webm"
    assert [problem["field"] for problem in latest["problems"]] == ["shots.2.image_key"]
    assert latest["estimate"]["cost_usd"] > plan["estimate"]["cost_usd"]
    assert exports.user.http.get("/compute-tasks").json()["items"] == [], "nothing is started"


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"projectId": None}, 422, "INVALID_FIELD", "projectId"),
        ({"projectId": "prj_" + "0" * 24}, 404, "PROJECT_NOT_FOUND", "projectId"),
        ({"version": 2}, 404, "VERSION_NOT_FOUND", "version"),
        ({"use_container": False}, 422, "INVALID_FIELD", "use_container"),
        ({"target": "LAMBDA"}, 422, "INVALID_FIELD", "target"),
        ({"output": {"poster_frame": 150}}, 422, "INVALID_FIELD", "output.poster_frame"),
        ({"output": {"codec": "h264", "container": "webm"}}, 422, "INVALID_FIELD", "output"),
        ({"callback_url": "ftp://example.com"}, 422, "URL_REFUSED", "callback_url"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_starts(
    exports: Exports, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    answer = exports.user.http.post(EXPORT, json={"projectId": exports.project_id, **change})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert answer.json()["error"]["details"][0]["field"] == field
    assert exports.user.http.get("/compute-tasks").json()["items"] == []


def test_only_the_owner_exports_and_only_by_a_key_for_it(exports: Exports, anonymous: httpx.Client) -> None:
    body = {"projectId": exports.project_id}
    login = {"email": "other-" + exports.user.email, "password": "correct horse battery"}
    anonymous.post("/auth/register", json=login).raise_for_status()
    anonymous.headers["X-API-KEY"] = anonymous.post("/auth/login", json=login).json()["api_key"]
    for more in ({}, {"dry_run": True}):
        answer = anonymous.post(EXPORT, json=body | more)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "PROJECT_NOT_FOUND")
        key = exports.user.http.post("/auth/api-keys", json={"name": "grades", "scopes": ["grade"]}).json()["api_key"]
        answer = exports.user.http.post(EXPORT, json=body | more, headers={"X-API-KEY": key})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "MISSING_SCOPE")


def test_an_export_that_is_sent_again_is_one_job(exports: Exports) -> None:
    body, headers = {"projectId": exports.project_id}, {"Idempotency-Key": "once"}
    first = exports.user.http.post(EXPORT, json=body, headers=headers)
    again = exports.user.http.post(EXPORT, json=body, headers=headers)
    assert (again.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])
    assert again.headers["idempotency-replayed"] == "true"
    assert len(exports.user.http.get("/compute-tasks").json()["items"]) == 1
