"""Create the indexes that the repositories declare: ``just indexes`` after a deployment, never on a request."""

from pymongo.database import Database

from studio import idempotency, quotas
from studio.auth import attempts
from studio.auth import repository as auth
from studio.compute_tasks import repository as compute_tasks
from studio.minimatics import repository as minimatics
from studio.mongo import Record, get_database
from studio.tone_mapping.bulk import repository as bulk
from studio.tone_mapping.cache import repository as cache
from studio.tone_mapping.presets import repository as presets

INDEXES = {
    **auth.INDEXES,
    **attempts.INDEXES,
    **presets.INDEXES,
    **cache.INDEXES,
    **compute_tasks.INDEXES,
    **bulk.INDEXES,
    **minimatics.INDEXES,
    **idempotency.INDEXES,
    **quotas.INDEXES,
}


def create_indexes(database: Database[Record]) -> None:
    """Create every declared index that is not there yet.

    Parameters
    ----------
    database : pymongo.database.Database
    """
    for collection, indexes in INDEXES.items():
        database[collection].create_indexes(indexes)


if __name__ == "__main__":
    create_indexes(get_database())
    print(f"indexes of {', '.join(INDEXES)}: created")
