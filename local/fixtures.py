"""Put what the event fixtures of events/ speak of into a running stack: users, their keys, an upload each."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pymongo import MongoClient

from local.aws import connect
from studio.auth import api_keys
from studio.auth.models import ApiKey, DeletedUser, Scope, User
from studio.auth.passwords import hash_password
from studio.compute_tasks.models import Callback, Job
from studio.minimatics.api_models import StoredProject
from studio.minimatics.export.models import ExportJob
from studio.minimatics.models import Dissolve, Project, Shot
from studio.minimatics.segments import Plan, Segment
from studio.minimatics.service import film_fields
from studio.object_keys import job_key, result_key, upload_key
from studio.tone_mapping import ENGINE_VERSION
from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.cache.models import CacheEntry
from studio.tone_mapping.presets.models import Preset

USER_ID = "usr_000000000000000000000001"
OTHER_USER_ID = "usr_000000000000000000000002"
SPARE_USER_ID = "usr_000000000000000000000003"
DELETED_USER_ID = "usr_000000000000000000000004"
EMAIL = "fixture@example.com"
PASSWORD = "a fixture's password"  # noqa: S105 it opens nothing but the embedded stack
KEY_ID = "key_000000000000000000000001"
SPARE_KEY_ID = "key_000000000000000000000002"
OTHER_KEY_ID = "key_000000000000000000000003"
SPARE_USERS_KEY_ID = "key_000000000000000000000004"
KEY = api_keys.KeyParts("f17700000001", "f1" * 32)
UPLOAD_ID = "upl_000000000000000000000001"
SPARE_UPLOAD_ID = "upl_000000000000000000000002"
PRESET_ID = "pre_000000000000000000000001"
SPARE_PRESET_ID = "pre_000000000000000000000002"
CACHE_KEY = "00000000000000000000000000000001"
QUEUED_JOB_ID = "job_000000000000000000000001"
COMPLETED_JOB_ID = "job_000000000000000000000002"
OTHER_JOB_ID = "job_000000000000000000000003"
WAITING_JOB_ID = "job_000000000000000000000004"
CRASHED_JOB_ID = "job_000000000000000000000005"
SILENT_JOB_ID = "job_000000000000000000000006"
BULK_QUEUED_JOB_ID = "job_000000000000000000000007"
BULK_RUNNING_JOB_ID = "job_000000000000000000000008"
BULK_COMPLETING_JOB_ID = "job_000000000000000000000009"
BULK_ABORTED_JOB_ID = "job_00000000000000000000000a"
TOLD_JOB_ID = "job_00000000000000000000000b"
PRIVATE_CALLBACK_JOB_ID = "job_00000000000000000000000c"
BATCH_QUEUED_JOB_ID = "job_00000000000000000000000d"
RESULTLESS_JOB_ID = "job_0000000000000000000000f0"
REDRIVEN_JOB_ID = "job_00000000000000000000000e"
EXPORT_QUEUED_JOB_ID = "job_000000000000000000000010"
EXPORT_COMPLETING_JOB_ID = "job_000000000000000000000011"
EXPORT_COMPLETED_JOB_ID = "job_000000000000000000000012"
RESULT_KEY = result_key(USER_ID, "res_000000000000000000000001", "jpeg")
EXPORT_EXECUTION_ARN = (
    f"arn:aws:states:us-east-1:123456789012:execution:studio-dev-minimatics-export:{EXPORT_QUEUED_JOB_ID}"
)
BULK_MANIFEST_KEY = job_key(USER_ID, BULK_RUNNING_JOB_ID, "manifest.json")
OTHER_PRESET_ID = "pre_000000000000000000000003"
PROJECT_ID = "prj_000000000000000000000001"
SPARE_PROJECT_ID = "prj_000000000000000000000002"
OTHER_PROJECT_ID = "prj_000000000000000000000003"
PHOTO = Path(__file__).parents[1] / "events/photo.jpg"


class Backend(Protocol):
    """Where a stack is."""

    mongodb_uri: str
    aws_endpoint_url: str
    bucket_name: str


def seed(stack: Backend) -> None:
    """Put every fixture in its first state, whatever an earlier run did to it.

    Parameters
    ----------
    stack : Backend

    Raises
    ------
    SystemExit
        If the database is not on this machine: the fixtures' password is published.
    """
    host = urlsplit(stack.mongodb_uri).hostname
    if host not in ("127.0.0.1", "localhost"):
        raise SystemExit(f"fixtures are for a database on this machine only, not for {host}: unset MONGODB_URI")
    now = datetime.now(UTC)
    scopes: list[Scope] = ["grade", "export"]
    owner = User(id=USER_ID, email=EMAIL, password_hash=hash_password(PASSWORD), scopes=scopes, created_at=now)
    other = owner.model_copy(update={"id": OTHER_USER_ID, "email": "other@example.com"})
    spare_user = owner.model_copy(update={"id": SPARE_USER_ID, "email": "spare@example.com"})
    key = ApiKey(
        id=KEY_ID,
        user_id=USER_ID,
        prefix=KEY.prefix,
        secret_hash=api_keys.hash_secret(KEY.secret),
        name="fixture",
        scopes=scopes,
        created_at=now,
    )
    spare = key.model_copy(update={"id": SPARE_KEY_ID, "prefix": "f17700000002"})
    others = key.model_copy(update={"id": OTHER_KEY_ID, "prefix": "f17700000003", "user_id": OTHER_USER_ID})
    spare_users = key.model_copy(update={"id": SPARE_USERS_KEY_ID, "prefix": "f17700000004", "user_id": SPARE_USER_ID})
    preset = Preset(
        id=PRESET_ID,
        user_id=USER_ID,
        name="Fixture",
        description="A little brighter.",
        adjustments=asdict(Adjustments(exposure=0.3, contrast=10)),
        lut_size=None,
        created_at=now,
        updated_at=now,
    )
    spare_preset = preset.model_copy(update={"id": SPARE_PRESET_ID})
    other_preset = preset.model_copy(update={"id": OTHER_PRESET_ID, "user_id": OTHER_USER_ID})
    entry = CacheEntry(
        id=CACHE_KEY,
        user_id=USER_ID,
        kind="analysis",
        engine_version=ENGINE_VERSION,
        created_at=now,
        used_at=now,
        expires_at=now + timedelta(days=1),
    )
    long_ago = now - timedelta(days=1)
    deleted = DeletedUser(id=DELETED_USER_ID, deleted_at=long_ago, swept_at=long_ago)
    with MongoClient[dict[str, object]](stack.mongodb_uri) as client:
        database = client["studio"]
        database["users"].delete_many({"email": "new@example.com"})
        for user in (owner, other, spare_user):
            database["users"].replace_one({"_id": user.id}, user.to_mongo(), upsert=True)
        database["loginAttempts"].delete_many({})
        database["deletedUsers"].delete_many({"_id": {"$in": [SPARE_USER_ID, DELETED_USER_ID]}})
        database["deletedUsers"].insert_one(deleted.to_mongo())
        database["apiKeys"].delete_many({"userId": {"$in": [USER_ID, OTHER_USER_ID, SPARE_USER_ID]}})
        for item in (key, spare, others, spare_users):
            database["apiKeys"].replace_one({"_id": item.id}, item.to_mongo(), upsert=True)
        database["toneMappingPresets"].delete_many({"userId": USER_ID})
        for look in (preset, spare_preset, other_preset):
            database["toneMappingPresets"].replace_one({"_id": look.id}, look.to_mongo(), upsert=True)
        database["toneMappingCache"].delete_many({"userId": USER_ID})
        database["toneMappingCache"].insert_one(entry.to_mongo())
        for collection in ("minimaticsProjects", "minimaticsProjectVersions"):
            database[collection].delete_many({"userId": {"$in": [USER_ID, OTHER_USER_ID]}})
        projects = _projects(now)
        database["minimaticsProjects"].insert_many([project.to_mongo() for project in projects])
        first = projects[0].model_copy(update={"name": "First", "version": 1})
        kept = first.to_mongo() | {"_id": f"{PROJECT_ID}:1", "projectId": PROJECT_ID}
        database["minimaticsProjectVersions"].insert_one(kept)
        database["idempotency"].delete_many({"_id": {"$regex": f"^{USER_ID}#"}})
        database["computeTasks"].delete_many({"userId": {"$in": [USER_ID, OTHER_USER_ID]}})
        bulk_jobs = [BULK_QUEUED_JOB_ID, BULK_RUNNING_JOB_ID, BULK_COMPLETING_JOB_ID]
        database["bulkItems"].delete_many({"_id": {"$in": [f"{job_id}:0" for job_id in bulk_jobs]}})
        database["computeTasks"].insert_many([job.to_mongo() for job in _jobs(now)])
        for job_id in (EXPORT_COMPLETING_JOB_ID, EXPORT_COMPLETED_JOB_ID):
            database["computeTasks"].update_one({"_id": job_id}, {"$set": {"film": {"film_key": _film_key(job_id)}}})
    store = connect("s3", stack.aws_endpoint_url)
    photos = [
        upload_key(USER_ID, UPLOAD_ID),
        upload_key(USER_ID, SPARE_UPLOAD_ID),
        upload_key(OTHER_USER_ID, UPLOAD_ID),
        upload_key(DELETED_USER_ID, UPLOAD_ID),
    ]
    for photo in (*photos, RESULT_KEY, _film_key(EXPORT_COMPLETING_JOB_ID)):
        store.put_object(Bucket=stack.bucket_name, Key=photo, Body=PHOTO.read_bytes())
    manifest = json.dumps([upload_key(USER_ID, UPLOAD_ID)]).encode()
    store.put_object(Bucket=stack.bucket_name, Key=BULK_MANIFEST_KEY, Body=manifest)


def _projects(now: datetime) -> list[StoredProject]:
    """Two projects of the user's, at their second version, and one of another user's."""
    photo = upload_key(USER_ID, UPLOAD_ID)
    dissolve = Dissolve(type="dissolve", duration_frames=10)
    shots = Shot(image_key=photo, duration_frames=50, transition=dissolve), Shot(image_key=photo, duration_frames=35)
    film = film_fields(Project.model_validate({"size": "720p", "fps": 25, "shots": shots}))
    project = StoredProject(
        id=PROJECT_ID, user_id=USER_ID, name="Fixture", version=2, **film, created_at=now, updated_at=now
    )
    return [
        project,
        project.model_copy(update={"id": SPARE_PROJECT_ID}),
        project.model_copy(update={"id": OTHER_PROJECT_ID, "user_id": OTHER_USER_ID}),
    ]


def _film_key(job_id: str) -> str:
    return job_key(USER_ID, job_id, "film.mp4")


def _jobs(now: datetime) -> list[Job]:
    """One job in every state that an event asks about."""
    queued = Job(
        id=QUEUED_JOB_ID,
        user_id=USER_ID,
        key_id=KEY_ID,
        scopes=["export", "grade"],
        task_type="adjust",
        target="LAMBDA",
        payload={"image_key": upload_key(USER_ID, UPLOAD_ID), "adjustments": {"exposure": 0.5}},
        created_at=now,
        queued_at=now,
        expires_at=now + timedelta(days=1),
    )
    running = queued.model_copy(update={"status": "PROCESSING", "started_at": now, "heartbeat_at": now})
    result = {"result_key": RESULT_KEY, "width": 180, "height": 120}
    done = {"id": COMPLETED_JOB_ID, "status": "COMPLETED", "result": result, "finished_at": now}
    order = {
        "task_type": "adjust",
        "parameters": {"adjustments": {"exposure": 0.5}},
        "concurrency": 8,
        "total": 1,
        "manifest_key": BULK_MANIFEST_KEY,
    }
    bulk = {"task_type": "bulk_grade", "payload": order}
    segment = Segment(index=0, start_frame=0, end_frame=75, cost_seconds=6)
    plan = Plan(frames=75, encoder_threads=2, segments=(segment,))
    film = ExportJob(project_id=PROJECT_ID, version=2, size=None, output=None, plan=plan)
    export = {"task_type": "minimatics_export", "target": "BATCH", "payload": film.model_dump(mode="json")}
    cancelled = {"status": "CANCELLED", "finished_at": now}
    told = Callback(url="https://example.com/studio", status="DELIVERED", tries=1, delivered_at=now)
    private = Callback(url="https://127.0.0.1/studio", status="QUEUED")
    long_ago = now - timedelta(hours=1)
    return [
        queued,
        running.model_copy(update=done),
        queued.model_copy(update={**cancelled, "id": TOLD_JOB_ID, "callback": told}),
        queued.model_copy(update={**cancelled, "id": PRIVATE_CALLBACK_JOB_ID, "callback": private}),
        queued.model_copy(update={"id": OTHER_JOB_ID, "user_id": OTHER_USER_ID}),
        queued.model_copy(update={"id": WAITING_JOB_ID}),
        running.model_copy(update={"id": CRASHED_JOB_ID, "attempt": 3}),
        running.model_copy(update={"id": SILENT_JOB_ID, "attempt": 3, "heartbeat_at": long_ago}),
        queued.model_copy(update={**bulk, "id": BULK_QUEUED_JOB_ID}),
        running.model_copy(update={**bulk, "id": BULK_RUNNING_JOB_ID}),
        running.model_copy(update={**bulk, "id": BULK_COMPLETING_JOB_ID}),
        running.model_copy(update={**bulk, "id": BULK_ABORTED_JOB_ID}),
        queued.model_copy(update={**export, "id": EXPORT_QUEUED_JOB_ID, "execution_arn": EXPORT_EXECUTION_ARN}),
        running.model_copy(update={**export, "id": EXPORT_COMPLETING_JOB_ID}),
        running.model_copy(update={**export, **done, "id": EXPORT_COMPLETED_JOB_ID}),
        queued.model_copy(update={"id": BATCH_QUEUED_JOB_ID, "target": "BATCH"}),
        running.model_copy(update={"id": RESULTLESS_JOB_ID, "target": "BATCH"}),
        queued.model_copy(update={"id": REDRIVEN_JOB_ID, "target": "BATCH", "status": "FAILED", "finished_at": now}),
    ]
