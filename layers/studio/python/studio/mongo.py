"""The MongoDB client: one a process, made on first use."""

from functools import cache
from typing import Any

from pydantic import Field
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from studio.errors import UnavailableError
from studio.settings import Settings, get_secret

Record = dict[str, Any]


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
    client: MongoClient[Record] = MongoClient(
        uri,
        appname="studio",
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
