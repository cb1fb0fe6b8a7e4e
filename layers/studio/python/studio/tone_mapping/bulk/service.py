"""Grading many images: a job whose state machine grades each by a function, and what those functions do."""

import json
from pkgutil import resolve_name
from typing import Any

from pydantic import ValidationError
from pymongo.errors import PyMongoError

from studio import storage
from studio.caller import Caller
from studio.compute_tasks import callbacks, executions
from studio.compute_tasks import repository as jobs
from studio.compute_tasks import service as compute_tasks
from studio.compute_tasks.models import AcceptedResponse, Job, JobError, TaskOptions
from studio.compute_tasks.registry import TASKS, Reporter
from studio.documents import new_id, utc_now
from studio.errors import InvalidFieldError, NotFoundError, StudioError, refuse_fields, unavailable_dependency
from studio.image_source import ImageSource
from studio.json_body import read_json
from studio.mongo import retry_until_up
from studio.object_keys import job_key, missing, require_own, upload_key
from studio.observability import logger
from studio.tone_mapping.bulk import repository
from studio.tone_mapping.bulk.models import MAX_ITEMS, BulkGradeRequest, BulkItem, BulkJob
from studio.tone_mapping.presets import service as presets

_MANIFEST_MAX_BYTES = 4_000_000  # 10,000 keys of the longest
_PAGE = 1000
_NO_PARAMETERS = {*ImageSource.model_fields, *TaskOptions.model_fields}


def submit(caller: Caller, request: BulkGradeRequest, job_id: str | None = None) -> AcceptedResponse:
    """Start a job that grades many images.

    Parameters
    ----------
    caller : Caller
    request : BulkGradeRequest
    job_id : str, optional
        For the job; where there is one of that id already, it is answered.

    Returns
    -------
    AcceptedResponse

    Raises
    ------
    ForbiddenError
        If the caller's key may not grade.
    InvalidFieldError
        If a parameter is wrong, there are no or too many images, or the callback URL is refused.
    UnavailableError
        If callbacks are asked for and not configured.
    NotFoundError
        If a key is not one of the caller's own, or there is no such reference or preset.
    """
    caller.require("grade")
    if job_id and (begun := jobs.find_job(job_id, caller.user_id)):  # before its manifest is written over
        return compute_tasks.to_accepted(begun)
    callbacks.check(request.callback_url)
    _check_parameters(caller, request)
    keys = _list_keys(caller, request)
    job_id = job_id or new_id("job")
    manifest_key = job_key(caller.user_id, job_id, "manifest.json")
    storage.write(manifest_key, json.dumps(keys).encode(), "application/json", tags={"kind": "result"}, for_map=True)
    payload = BulkJob(
        task_type=request.task_type,
        parameters=request.parameters,
        concurrency=request.concurrency,
        total=len(keys),
        manifest_key=manifest_key,
    )
    options = TaskOptions(use_container=True, callback_url=request.callback_url)
    return compute_tasks.to_accepted(compute_tasks.submit(caller, "bulk_grade", payload, options, job_id))


def start(job_id: str) -> dict[str, Any]:
    """Begin a job: the first state of its execution.

    Parameters
    ----------
    job_id : str

    Returns
    -------
    dict
        What the next state needs: ``job_id``, ``manifest_key`` and ``concurrency``.

    Raises
    ------
    JobOverError
        If there is nothing to do.
    """
    job = retry_until_up(lambda: executions.begin(job_id))
    order = BulkJob.model_validate(job.payload)
    return {"job_id": job_id, "manifest_key": order.manifest_key, "concurrency": order.concurrency}


def grade_item(job_id: str, index: int, image_key: str) -> str | None:
    """Grade one image of a job and record how it came out; that one fails is no failure of the job.

    Parameters
    ----------
    job_id : str
    index : int
        Its place in the manifest.
    image_key : str

    Returns
    -------
    str or None
        Its status; None where it was recorded before, or the job is complete.

    Raises
    ------
    JobOverError
        If the job failed or was cancelled: a redrive does again only what has not succeeded.
    """
    job = retry_until_up(lambda: _find_ungraded(job_id, index))
    if job is None:
        return None
    order = BulkJob.model_validate(job.payload)
    item = BulkItem(
        id=repository.item_id(job_id, index),
        user_id=job.user_id,
        index=index,
        image_key=image_key,
        status="COMPLETED",
        finished_at=utc_now(),
        expires_at=job.expires_at,
    )
    outcome = retry_until_up(lambda: _grade(job, order, image_key))
    item = item.model_copy(update={**outcome, "finished_at": utc_now()})
    if not retry_until_up(lambda: _record(item, job_id)):
        return None
    try:
        repository.count_item(job_id, order.total, utc_now())
    except PyMongoError:  # not tried again, or it might count twice: progress stays one behind
        logger.warning("that an image is done could not be counted", job_id=job_id, index=index)
    return item.status


def complete(job_id: str) -> dict[str, int] | None:
    """Write how every image came out, and complete the job: the last state of its execution.

    Parameters
    ----------
    job_id : str

    Returns
    -------
    dict or None
        How many images there were, were graded, and failed; None where the job is complete already.

    Raises
    ------
    JobOverError
        If the job failed or was cancelled.
    """
    # Which asks whether it was redriven, even where nobody has told that it had ended.
    job = retry_until_up(lambda: executions.begin_unless_complete(job_id))
    if job is None:
        return None
    keys = _read_order(BulkJob.model_validate(job.payload).manifest_key)
    found = retry_until_up(lambda: {item.index: item for item in repository.find_items(job_id)})
    items = [_to_result(index, key, found.get(index)) for index, key in enumerate(keys)]
    completed = sum(item["status"] == "COMPLETED" for item in items)
    counts = {"total": len(items), "completed": completed, "failed": len(items) - completed}
    result_key = job_key(job.user_id, job_id, "result.json")
    told = json.dumps({"job_id": job_id, "counts": counts, "items": items}).encode()
    storage.write(result_key, told, "application/json", tags={"kind": "result"})
    executions.complete(job, {"counts": counts, "manifest_key": result_key})
    if any(_is_our_fault(found.get(index)) for index in range(len(keys))):  # of a job that is COMPLETED all the same
        callbacks.count_fault()
    return counts


def _grade(job: Job, order: BulkJob, image_key: str) -> dict[str, Any]:
    """Return what an item's record has of the outcome."""
    try:
        answer = (
            TASKS[order.task_type]
            .run(job.caller, {**order.parameters, "image_key": image_key}, Reporter(job.id))
            .model_dump(include={"result_key"})
        )
    except StudioError as error:
        failure = JobError(code=error.code, message=error.message, status=int(error.status))
        return {"status": "FAILED", "error": failure}
    except Exception as error:
        if isinstance(error, PyMongoError) or unavailable_dependency(error):  # is none of the image
            raise
        logger.exception("an image of a bulk job failed", job_id=job.id, image_key=image_key)
        return {
            "status": "FAILED",
            "error": JobError(code="INTERNAL_ERROR", message="something went wrong on our side"),
        }
    return answer


def _to_result(index: int, image_key: str, item: BulkItem | None) -> dict[str, Any]:
    told = {"index": index, "image_key": image_key, "status": "FAILED", "result_key": None, "error": None}
    if item is None:
        return told | {
            "error": {"code": "WORKER_LOST", "message": "its function crashed, or what it needs did not answer"}
        }
    error = item.error and {"code": item.error.code, "message": item.error.message}
    return told | {"status": item.status, "result_key": item.result_key, "error": error}


def _is_our_fault(item: BulkItem | None) -> bool:
    return item is None or (item.error is not None and item.error.status >= 500)


def _find_running(job_id: str) -> Job | None:
    """Return a job that runs, which it does again where its execution was redriven; None where it is complete."""
    job = jobs.find_job(job_id)
    return job if job and job.status == "PROCESSING" else executions.begin_unless_complete(job_id)


def _find_ungraded(job_id: str, index: int) -> Job | None:
    """Return a job that runs; None where it is complete, or has that item."""
    job = _find_running(job_id)
    return None if job is None or repository.has_item(job_id, index) else job


def _record(item: BulkItem, job_id: str) -> bool:
    """Record an item, unless it was recorded before or the job is complete."""
    return _find_running(job_id) is not None and repository.insert_item(item)


def _check_parameters(caller: Caller, request: BulkGradeRequest) -> None:
    if foreign := sorted(_NO_PARAMETERS & request.parameters.keys()):
        raise InvalidFieldError("this is not a parameter of many images", field=f"parameters.{foreign[0]}")
    try:
        read_json(
            resolve_name(TASKS[request.task_type].request), json.dumps({**request.parameters, "image_key": "users/"})
        )
    except ValidationError as error:
        raise refuse_fields([(("parameters", *item["loc"]), item) for item in error.errors()]) from error
    if (reference_key := request.parameters.get("reference_key")) is not None:
        require_own(caller, reference_key, "parameters.reference_key")
        if storage.get_size(reference_key) is None:
            raise missing(reference_key, "parameters.reference_key")
    if preset_id := request.parameters.get("preset_id"):
        try:
            presets.get_preset(caller, preset_id)
        except NotFoundError as error:
            raise NotFoundError(error.message, code=error.code, field="parameters.preset_id") from error


def _list_keys(caller: Caller, request: BulkGradeRequest) -> list[str]:
    if request.image_keys is not None:
        return _check_own(caller, request.image_keys, "image_keys")
    if request.manifest_key is not None:
        return _check_own(caller, _read_manifest(caller, request.manifest_key), "manifest_key")
    keys = _list_uploads(caller)
    if not 1 <= len(keys) <= MAX_ITEMS:
        number = f"more than {MAX_ITEMS:,}" if keys else "no"
        raise InvalidFieldError(f"1 to {MAX_ITEMS:,} images; you have {number} uploads", field="all_uploads")
    return keys


def _check_own(caller: Caller, keys: list[str], field: str) -> list[str]:
    for index, key in enumerate(keys):
        require_own(caller, key, f"{field}.{index}")
    return keys


def _list_uploads(caller: Caller) -> list[str]:
    prefix = upload_key(caller.user_id, "")
    keys: list[str] = []
    while len(keys) <= MAX_ITEMS:
        page = [item.key for item in storage.list_objects(prefix, _PAGE, keys[-1] if keys else "")]
        keys += page
        if len(page) < _PAGE:
            break
    return keys


def _read_manifest(caller: Caller, key: str) -> list[str]:
    require_own(caller, key, "manifest_key")
    found = storage.read(key, _MANIFEST_MAX_BYTES)
    if found is None:
        raise missing(key, "manifest_key")
    data, size = found
    if size > _MANIFEST_MAX_BYTES:
        message = f"a manifest may have {_MANIFEST_MAX_BYTES:,} bytes; got {size:,}"
        raise InvalidFieldError(message, code="INVALID_MANIFEST", field="manifest_key")
    try:
        keys = json.loads(data)
    except (ValueError, RecursionError):
        keys = None
    if not isinstance(keys, list):
        given = "no list"
    elif not 1 <= len(keys) <= MAX_ITEMS:
        given = f"{len(keys):,} entries"
    elif others := [index for index, item in enumerate(keys) if not isinstance(item, str)]:
        given = f"no string at index {others[0]}"
    else:
        return keys
    message = f"a manifest is a JSON list of 1 to {MAX_ITEMS:,} keys, each a string; got {given}"
    raise InvalidFieldError(message, code="INVALID_MANIFEST", field="manifest_key")


def _read_order(key: str) -> list[str]:
    found = storage.read(key, _MANIFEST_MAX_BYTES, for_map=True)
    if found is None:
        raise missing(key, "manifest_key")
    keys: list[str] = json.loads(found[0])
    return keys
