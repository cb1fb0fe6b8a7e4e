"""Idempotency-Key: a request that is sent again is answered what it was answered first, and its work is done once."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.base import BasePersistenceLayer
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord
from bson import ObjectId
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError, PyMongoError

from studio.caller import Caller
from studio.documents import new_id, utc_now
from studio.errors import ConflictError, InvalidFieldError, StudioError
from studio.mongo import Record, get_collection
from studio.observability import count, logger
from studio.results import presign_if_stored

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "idempotency-replayed"
KEY_PATTERN = "^[ -~]{1,255}$"  # printable ASCII
KEPT_SECONDS = 24 * 3600

# A record's _id is `<user's id>#<hash of route and key>`: nobody meets another user's, and a user's are a range of ids.
INDEXES = {"idempotency": [IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0, name="ttl")]}


def run_once(app: APIGatewayHttpResolver, caller: Caller, next_middleware: NextMiddleware) -> Response[str]:
    """Answer a request that has an Idempotency-Key: do its work, or say what the same request was answered before.

    Only answers of success are kept: whatever raises releases the key, so that the next try is a new one; where that
    is no answer of ours, the same request has the same job id again, for its job may be stored already. While a
    request runs, its key is claimed for as long as its function may run; a claim that ran out is that of a function
    which died, and is taken over.

    Parameters
    ----------
    app : APIGatewayHttpResolver
    caller : Caller
    next_middleware : NextMiddleware
        Does the work. Where it starts a job, it takes the id of that from ``app.context["job_id"]``: whoever takes
        over from a request that died has the same one, and so finds the job instead of starting another one.

    Returns
    -------
    Response
        With the header ``idempotency-replayed`` where it is a previous answer; the URLs of results are newly presigned.

    Raises
    ------
    InvalidFieldError
        If the key is empty, too long or not ASCII.
    ConflictError
        If the key came with another request before, or with this one and that still runs.
    GoneError
        If the first answer leads to an object that no longer exists: a URL to nothing would be of no use.
    """
    key = app.current_event.headers[HEADER]
    if not re.fullmatch(KEY_PATTERN, key):
        raise InvalidFieldError(
            f"{HEADER} takes 1 to 255 printable ASCII characters; got {len(key)} characters, {key!r:.50}", field=HEADER
        )
    layer = MongoPersistenceLayer()

    def work(*, request: Record) -> Record:
        app.append_context(job_id=layer.job_id)  # type: ignore[no-untyped-call]
        try:
            response = next_middleware(app)
        except Exception as error:
            layer.has_begun = not isinstance(error, StudioError)
            raise
        return {"status": response.status_code, "body": _dump(response.body)}

    run = idempotent_function(
        work,
        data_keyword_argument="request",
        persistence_store=layer,
        key_prefix=caller.user_id,
        config=IdempotencyConfig(
            event_key_jmespath="key",
            payload_validation_jmespath="payload",
            expires_after_seconds=KEPT_SECONDS,
            hash_function="sha256",
            lambda_context=app.lambda_context,
            response_hook=_renew,
        ),
    )
    route = f"{app.request.method} {app.request.route}"
    request = {"key": [route, key], "payload": [app.current_event.path, app.current_event.json_body]}
    try:
        answer = run(request=request)
    except IdempotencyValidationError:
        message = f"this {HEADER} came with another request before; take a new one for a new request"
        raise ConflictError(message, code="IDEMPOTENCY_MISMATCH", field=HEADER) from None
    except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError):
        message = f"the first request with this {HEADER} still runs; ask again"
        raise ConflictError(message, code="IDEMPOTENCY_IN_PROGRESS", field=HEADER, retry_after=1) from None
    except IdempotencyPersistenceLayerError as error:
        raise error.__cause__ or error from None
    return Response(
        status_code=answer["status"],
        content_type=content_types.APPLICATION_JSON,
        body=answer["body"],
        headers={REPLAYED_HEADER: "true"} if answer.get("replayed") else {},
    )


class MongoPersistenceLayer(BasePersistenceLayer):
    """Where Powertools keeps a request's record; one a request, whose claim it holds.

    Attributes
    ----------
    job_id : str or None
        For the job that the request may start; told once it has claimed its record.
    has_begun : bool
        Whether something may have come of a request that failed.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_id: str | None = None
        self.has_begun = False
        self._claim = str(ObjectId())

    def _get_record(self, idempotency_key: str) -> DataRecord:
        found = get_collection("idempotency").find_one({"_id": idempotency_key})
        if found is None:
            raise IdempotencyItemNotFoundError
        return DataRecord(
            idempotency_key=idempotency_key,
            status=found["status"],
            expiry_timestamp=int(found["expiresAt"].timestamp()),
            in_progress_expiry_timestamp=int(found["claimedUntil"].timestamp() * 1000),
            response_data=found["answer"],
            payload_hash=found["payloadHash"],
        )

    def _put_record(self, data_record: DataRecord) -> None:
        """Claim the key, if it is free, or claimed by the same request in a function that died."""
        key, now = data_record.idempotency_key, utc_now()
        expired = {"expiresAt": {"$lte": now}}  # MongoDB deletes once a minute
        died = {"status": "INPROGRESS", "claimedUntil": {"$lt": now}, "payloadHash": data_record.payload_hash}
        claim = {
            "status": data_record.status,
            "payloadHash": data_record.payload_hash,
            "claim": self._claim,
            "claimedUntil": _moment((data_record.in_progress_expiry_timestamp or 0) / 1000),
            "expiresAt": _moment(data_record.expiry_timestamp or 0),
            "answer": "",
            # Kept from a function that died; a field that is not there yet compares as less than any moment.
            "jobId": {"$cond": [{"$lte": ["$expiresAt", now]}, new_id("job"), "$jobId"]},
        }
        try:
            claimed: Any = get_collection("idempotency").find_one_and_update(
                {"_id": key, "$or": [expired, died]}, [{"$set": claim}], upsert=True, return_document=True
            )
        except DuplicateKeyError:
            raise IdempotencyItemAlreadyExistsError from None
        self.job_id = claimed["jobId"]

    def _update_record(self, data_record: DataRecord) -> None:
        """Keep the answer. Where that fails the work is done all the same, and its answer is given."""
        kept = {
            "status": data_record.status,
            "expiresAt": _moment(data_record.expiry_timestamp or 0),
            "answer": data_record.response_data,
        }
        with _tolerated():
            get_collection("idempotency").update_one(self._own(data_record), {"$set": kept})

    def _delete_record(self, data_record: DataRecord) -> None:
        """Release the key. Where that fails it is free when its claim ends, and the request's own error is told."""
        with _tolerated():
            if self.has_begun:  # as if its function had died
                ended = {"claimedUntil": utc_now() - timedelta(milliseconds=1)}
                get_collection("idempotency").update_one(self._own(data_record), {"$set": ended})
            else:
                get_collection("idempotency").delete_one(self._own(data_record))

    def _own(self, data_record: DataRecord) -> Record:
        """Match the record unless another request took it over."""
        return {"_id": data_record.idempotency_key, "claim": self._claim}


@contextmanager
def _tolerated() -> Iterator[None]:
    try:
        yield
    except PyMongoError:
        logger.exception("how a request ended could not be recorded for its Idempotency-Key")
        count("IdempotencyUnrecorded")


def _renew(response: Record, idempotent_data: DataRecord) -> Record:
    """Make a previous answer fit to be given again: a presigned URL in it may have ended."""
    return {**response, "body": _dump(presign_if_stored(json.loads(response["body"]))), "replayed": True}


def _dump(body: Any) -> str:
    return json.dumps(body, separators=(",", ":"))


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
