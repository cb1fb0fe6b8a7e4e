"""Every script of examples/ runs, so that none of them rots."""

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pymongo
import pytest
from PIL import Image

from local.stack import Stack
from studio.compute_tasks.models import Job
from tests.waiting import SECONDS

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "events/photo.jpg"
WITHOUT_ROUTE = {
    "auth/authorize_request",
    "auth/sweep_deleted_users",
    "minimatics/plan_export",
    "minimatics/complete_export",
    "tone_mapping/start_bulk_job",
    "tone_mapping/grade_bulk_item",
    "tone_mapping/complete_bulk_job",
    "compute_tasks/run_task",
    "compute_tasks/reconcile_tasks",
    "compute_tasks/clean_up_tasks",
    "compute_tasks/deliver_callback",
    "compute_tasks/prepare_container",
}
SCRIPTS = sorted(str(path.relative_to(ROOT / "examples")) for path in ROOT.glob("examples/*/*.sh"))


JOB_ID = "job_" + "e" * 24


def waiting_job(user_id: str) -> dict[str, Any]:
    """Return a job that no worker knows of, as MongoDB has it."""
    now = datetime.now(UTC)
    return Job(
        id=JOB_ID,
        user_id=user_id,
        key_id="key_1",
        scopes=["grade"],
        task_type="adjust",
        target="LAMBDA",
        payload={},
        created_at=now,
        queued_at=now,
        expires_at=now + timedelta(days=1),
    ).to_mongo()


def run(stack: Stack, user: Any, script: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [ROOT / "examples" / script, *arguments],
        env={"PATH": os.environ["PATH"], "STUDIO_URL": stack.url, "STUDIO_API_KEY": user.api_key},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def upload(stack: Stack, user: Any) -> str:
    """Return the key of a new upload."""
    key: str = json.loads(run(stack, user, "uploads/create_upload.sh", PHOTO))["image_key"]
    return key


def arguments(stack: Stack, user: Any, script: str, tmp_path: Path) -> list[str | Path]:
    match script:
        case "auth/register_user.sh":
            return ["new-" + user.email, user.password]
        case "auth/login_user.sh":
            return [user.email, user.password]
        case "auth/delete_user.sh":
            return [user.password]
        case "auth/revoke_api_key.sh" | "auth/rotate_api_key.sh":
            return [json.loads(run(stack, user, "auth/create_api_key.sh"))["key_id"]]
        case "uploads/create_upload.sh":
            return [PHOTO]
        case "tone_mapping/bulk_grade.sh":
            run(stack, user, "uploads/create_upload.sh", PHOTO)
        case "uploads/delete_upload.sh":
            return [json.loads(run(stack, user, "uploads/create_upload.sh", PHOTO))["upload_id"]]
        case "tone_mapping/auto_correct.sh" | "tone_mapping/adjust.sh":
            return [PHOTO, tmp_path / "graded.jpg"]
        case "tone_mapping/apply_preset.sh":
            return ["builtin_silver", PHOTO, tmp_path / "graded.jpg"]
        case "tone_mapping/create_preset.sh":
            return ["Warm"]
        case "tone_mapping/get_preset.sh" | "tone_mapping/delete_preset.sh" | "tone_mapping/update_preset.sh":
            preset_id = json.loads(run(stack, user, "tone_mapping/create_preset.sh", "Warm"))["preset_id"]
            return [preset_id, "Cool"][: 1 + script.endswith("update_preset.sh")]
        case "minimatics/create_project.sh":
            return [upload(stack, user)]
        case "minimatics/list_projects.sh":
            run(stack, user, "minimatics/create_project.sh", upload(stack, user))
        case "minimatics/get_project.sh" | "minimatics/delete_project.sh" | "minimatics/export_video.sh":
            return [json.loads(run(stack, user, "minimatics/create_project.sh", upload(stack, user)))["project_id"]]
        case "minimatics/update_project.sh" | "minimatics/duplicate_project.sh":
            key = upload(stack, user)
            project_id = json.loads(run(stack, user, "minimatics/create_project.sh", key))["project_id"]
            return [project_id, "1", key] if script.endswith("update_project.sh") else [project_id, "Wolf"]
        case "compute_tasks/get_job_status.sh":
            return [PHOTO]
        case "compute_tasks/get_job_result.sh":
            return [json.loads(run(stack, user, "compute_tasks/get_job_status.sh", PHOTO))["job_id"]]
        case "compute_tasks/cancel_job.sh":
            with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
                client["studio"]["computeTasks"].insert_one(waiting_job(user.user_id))
            return [JOB_ID]
        case "tone_mapping/delete_cache_entry.sh":
            run(stack, user, "tone_mapping/adjust.sh", PHOTO, tmp_path / "graded.jpg")
            return [json.loads(run(stack, user, "tone_mapping/get_cache.sh"))["items"][0]["cache_key"]]
        case "tone_mapping/export_preset.sh":
            return ["builtin_noir"]
        case "tone_mapping/import_preset.sh":
            cube = run(stack, user, "tone_mapping/export_preset.sh", "builtin_noir")
            (tmp_path / "noir.cube").write_bytes(f"# café\n{cube}".encode("latin-1"))  # as old programs write
            return [tmp_path / "noir.cube"]
    return []


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_script_runs(stack: Stack, user: Any, script: str, tmp_path: Path) -> None:
    printed = run(stack, user, script, *arguments(stack, user, script, tmp_path))
    match script:
        case (
            "auth/revoke_api_key.sh"
            | "auth/delete_user.sh"
            | "uploads/delete_upload.sh"
            | "tone_mapping/delete_preset.sh"
            | "tone_mapping/delete_cache_entry.sh"
            | "minimatics/delete_project.sh"
        ):
            assert printed == ""
        case "tone_mapping/create_lut.sh" | "tone_mapping/export_preset.sh":
            assert "LUT_3D_SIZE 17" in printed
        case "uploads/create_upload.sh":
            [item] = user.http.get("/uploads").json()["items"]
            assert item["size_bytes"] == PHOTO.stat().st_size
            assert json.loads(printed)["image_key"] == item["image_key"]
        case "tone_mapping/auto_correct.sh" | "tone_mapping/adjust.sh" | "tone_mapping/apply_preset.sh":
            assert json.loads(printed)["adjustments"]
            with Image.open(tmp_path / "graded.jpg") as image:
                assert image.size == Image.open(PHOTO).size
        case _:
            assert json.loads(printed)


def test_the_first_script_takes_a_photo_that_is_too_large_for_a_request(
    stack: Stack, user: Any, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1600, 2000, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.jpg", quality=98)
    assert (tmp_path / "photo.jpg").stat().st_size > 4_000_000
    printed = run(stack, user, "tone_mapping/auto_correct.sh", tmp_path / "photo.jpg", tmp_path / "graded.jpg")
    assert json.loads(printed)["adjustments"]
    with Image.open(tmp_path / "graded.jpg") as image:
        assert image.size == (2000, 1600)


def test_readmes_first_request_works(stack: Stack, user: Any, tmp_path: Path) -> None:
    [script] = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert "out/before.jpg" in script
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "out").mkdir()
    shutil.copy(PHOTO, tmp_path / "out/before.jpg")
    environment = {"PATH": os.environ["PATH"], "STUDIO_URL": stack.url, "STUDIO_API_KEY": user.api_key}
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment, check=True, timeout=SECONDS
    )
    assert json.loads((tmp_path / "out/graded.json").read_text())["steps"]
    with Image.open(tmp_path / "out/graded.jpg") as image:
        assert image.size == Image.open(PHOTO).size


def test_every_endpoint_has_a_script() -> None:
    functions = {str(path.parent.relative_to(ROOT / "functions")) for path in ROOT.glob("functions/*/*/app.py")}
    assert {script.removesuffix(".sh") for script in SCRIPTS} == functions - WITHOUT_ROUTE
