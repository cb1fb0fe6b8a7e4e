from studio.auth.repository import OWNED
from studio.indexes import INDEXES

# Collections that have nothing of a user's, or nothing that may go with the user, and why.
NOT_A_USERS = {
    "requestCounts",  # by key, gone within minutes
    "loginAttempts",  # hashes of emails and addresses, gone within hours
    "deletedUsers",  # says whose data is still to go, and goes after it
}


def test_every_collection_is_deleted_with_its_user() -> None:
    assert OWNED.keys() | NOT_A_USERS == INDEXES.keys() | {"locks"}  # which needs no index
    assert not OWNED.keys() & NOT_A_USERS
