"""The MongoDB client: one a process, made on first use."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import Field
from pymongo import MongoClient, timeout
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from studio.errors import UnavailableError
from studio.observability import logger, tracer
from studio.settings import Settings, forget_secrets, get_secret

Record = dict[str, Any]
Answer = TypeVar("Answer")

_RETRY_SECONDS = 20.0  # longer than another primary takes to be elected
_AUTHENTICATION_FAILED = {18, 8000}  # the server's code, and Atlas's
_WRITE_CONFLICT = 112
_STUCK_SECONDS = 1.0  # longer than transactions that follow each other take
_APP = "studio"


class MongoSettings(Settings):
    """Where MongoDB is: a connection string, or the ARN of the secret that holds it."""

    mongodb_uri: str | None = Field(default=None, repr=False)
    mongodb_secret_arn: str | None = None
    mongodb_database: str = "studio"
    mongodb_timeout_ms: int = Field(default=5000, ge=100, le=25000)


@cache
def get_database() -> Database[Record]:
    """Return the database of this deployment; writes are acknowledged by a majority's journals.

    Returns
    -------
    pymongo.database.Database

    Raises
    ------
    UnavailableError
        If neither ``MONGODB_URI`` nor ``MONGODB_SECRET_ARN`` is set.
    """
    settings = MongoSettings.load()
    uri = settings.mongodb_uri or (settings.mongodb_secret_arn and get_secret(settings.mongodb_secret_arn))
    if not uri:
        raise UnavailableError("MongoDB is not configured: set MONGODB_URI or MONGODB_SECRET_ARN")
    tracer.patch(["pymongo"])
    client: MongoClient[Record] = MongoClient(
        uri,
        appname=_APP,
        event_listeners=[_RotationListener()],
        # A Lambda environment serves one request at a time.
        maxPoolSize=2,
        tz_aware=True,
        w="majority",
        journal=True,
        connectTimeoutMS=2000,
        serverSelectionTimeoutMS=settings.mongodb_timeout_ms,
        timeoutMS=settings.mongodb_timeout_ms,
    )
    return client[settings.mongodb_database]


class _RotationListener(CommandListener):
    """Forgets client and secret once the password is refused: it was rotated, the next request reads the new one."""

    def started(self, event: CommandStartedEvent) -> None: ...

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None:
        if event.failure.get("code") in _AUTHENTICATION_FAILED:
            logger.warning("MongoDB refused the password; its secret is read again")
            get_database.cache_clear()
            forget_secrets()


def get_collection(name: str) -> Collection[Record]:
    """Return a collection of this deployment's database.

    Parameters
    ----------
    name : str
        camelCase, as in MongoDB.

    Returns
    -------
    pymongo.collection.Collection
    """
    return get_database()[name]


def retry_until_up(action: Callable[[], Answer]) -> Answer:
    """Repeat what reads or makes a guarded change until MongoDB answers: jobs outlast a restart of the database.

    Parameters
    ----------
    action : callable
        May be done several times: where only the answer was lost, it has been done already.

    Returns
    -------
    object
        What the action returns.

    Raises
    ------
    pymongo.errors.PyMongoError
        If MongoDB is away for more than 20 s.
    """
    deadline = time.monotonic() + _RETRY_SECONDS
    while True:
        try:
            return action()
        except PyMongoError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def run_transaction(change: Callable[[ClientSession], Answer]) -> Answer:
    """Make changes to several documents all or not at all, within the time that one operation has otherwise.

    A transaction whose process died, or gave a hung server up, would keep its documents from others for a minute, which
    is the server's own limit. Whoever is stuck behind one that is older than any of ours may be ends it.

    Parameters
    ----------
    change : callable
        Takes the session that each of its operations must name. It is called again where somebody else changes the
        same documents.

    Returns
    -------
    object
        What `change` returns.
    """
    client = get_database().client
    seconds = MongoSettings.load().mongodb_timeout_ms / 1000
    looked_at = time.monotonic()

    def change_unless_stuck(session: ClientSession) -> Answer:
        nonlocal looked_at
        try:
            return change(session)
        except OperationFailure as error:
            if error.code == _WRITE_CONFLICT and time.monotonic() - looked_at > _STUCK_SECONDS:
                _end_abandoned(client, seconds)
                looked_at = time.monotonic()
            raise  # and is called again

    with timeout(seconds), client.start_session() as session:
        return session.with_transaction(change_unless_stuck)


def _end_abandoned(client: MongoClient[Record], seconds: float) -> None:
    """End transactions of ours that nobody goes on with; a user may do so with sessions of its own."""
    is_old = {"transaction.timeOpenMicros": {"$gt": int(seconds * 1_000_000)}}
    abandoned: list[Record] = [
        {"$currentOp": {"idleSessions": True, "allUsers": False}},
        {"$match": {"type": "idleSession", "appName": _APP, **is_old}},
    ]
    try:
        for found in client.admin.aggregate(abandoned):
            client.admin.command({"killSessions": [{"id": found["lsid"]["id"]}]})
            logger.warning("ended an abandoned transaction", seconds=found["transaction"]["timeOpenMicros"] / 1_000_000)
    except PyMongoError as error:  # it ends by itself, later
        logger.warning("abandoned transactions cannot be ended", reason=str(error))


def insert_within(limit: int, user_id: str, collection: str, document: Record, like: Record) -> bool:
    """Insert a document of a user's unless there are `limit` like it, however many are inserted at the same time.

    Parameters
    ----------
    limit : int
    user_id : str
    collection : str
    document : dict
    like : dict
        What is counted: a query of the collection.

    Returns
    -------
    bool
        False where there are as many already.

    Raises
    ------
    pymongo.errors.DuplicateKeyError
        If it is there already.
    """

    def change(session: ClientSession) -> bool:
        # Two at the same time would not see each other's document: the second that locks is begun again by this.
        lock = {"_id": f"{user_id}#{collection}"}
        get_collection("locks").update_one(lock, {"$inc": {"turns": 1}}, upsert=True, session=session)
        if get_collection(collection).count_documents(like, limit=limit, session=session) >= limit:
            return False
        get_collection(collection).insert_one(document, session=session)
        return True

    return run_transaction(change)
