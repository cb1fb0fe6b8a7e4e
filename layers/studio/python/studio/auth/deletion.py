"""What is left of deleted users: swept until nobody can write for them any longer.

That is as long as there are answers of the authorizer in its cache, requests and jobs under way, and presigned uploads.
"""

import time
from datetime import timedelta

from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError
from pymongo.errors import PyMongoError

from studio import storage
from studio.auth import repository
from studio.auth.models import DeletedUser
from studio.compute_tasks import dispatch
from studio.compute_tasks import repository as jobs
from studio.compute_tasks.settings import ComputeTaskSettings
from studio.documents import utc_now
from studio.object_keys import own_prefix
from studio.observability import count, logger

LONGEST_SWEEP_SECONDS = 40.0
_PAGE = 1000
_LAST_WRITE = timedelta(hours=1)  # after the end of the last presigned URL: what was begun before it


def sweep() -> int:
    """Go on with every deletion, as far as there is time; one that fails is gone on with the next time.

    Returns
    -------
    int
        How many are finished: nothing is left, and nothing can come any more.
    """
    started, deadline, finished = utc_now(), time.monotonic() + LONGEST_SWEEP_SECONDS, 0
    while time.monotonic() < deadline and (user := repository.claim_deleted_user(started, utc_now())):
        try:
            is_clean = _sweep_user(user, deadline)
        except (BotoCoreError, ClientError, GetParameterError, PyMongoError):
            logger.exception("a deleted user's data could not be swept", user_id=user.id)
            count("DeletionDelayed", stage=ComputeTaskSettings.load().stage)  # an alarm watches this
            continue
        last_write = timedelta(seconds=storage.StorageSettings.load().presigned_url_seconds) + _LAST_WRITE
        if is_clean and user.deleted_at + last_write < started:
            repository.forget_deleted_user(user.id)
            finished += 1
    return finished


def _sweep_user(user: DeletedUser, deadline: float) -> bool:
    """Delete what there is of a user; False where the time was too short."""
    jobs.cancel_jobs(user.id, utc_now())
    for job in jobs.find_executions(user.id, user.deleted_at):
        dispatch.stop(job)
        jobs.delete_job(job.id, user.id)
        if time.monotonic() > deadline:
            return False
    repository.delete_owned(user.id, max(deadline - time.monotonic(), 1))
    while keys := [item.key for item in storage.list_objects(own_prefix(user.id), _PAGE)]:
        storage.delete_many(keys)
        if time.monotonic() > deadline:
            return False
    return True
