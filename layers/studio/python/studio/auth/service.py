"""Users and keys: what the auth functions do."""

import hmac
from datetime import datetime, timedelta

from pydantic import SecretStr
from pymongo.errors import PyMongoError

from studio import audit
from studio.auth import api_keys, attempts, repository
from studio.auth.models import (
    ApiKey,
    ApiKeyResponse,
    ApiKeySummary,
    CreateApiKeyRequest,
    CurrentUserResponse,
    DeleteUserRequest,
    ListApiKeysResponse,
    LoginRequest,
    RegisterRequest,
    RotateApiKeyRequest,
    Scope,
    User,
    UserResponse,
)
from studio.auth.passwords import find_weakness, hash_password, verify_password
from studio.auth.settings import AuthSettings
from studio.caller import Caller
from studio.documents import new_id, utc_now
from studio.errors import (
    ConflictError,
    ForbiddenError,
    InvalidCredentialsError,
    InvalidFieldError,
    NotFoundError,
    TooManyRequestsError,
    UnavailableError,
)
from studio.observability import logger
from studio.settings import get_secret

USER_SCOPES: list[Scope] = ["grade", "export"]
TOUCH_EVERY = timedelta(minutes=1)
_DELETION_SECONDS = 15.0  # behind the transaction; the function has 29


def register(request: RegisterRequest, address: str) -> UserResponse:
    """Create a user.

    Parameters
    ----------
    request : RegisterRequest
    address : str
        Where the request comes from.

    Returns
    -------
    UserResponse

    Raises
    ------
    ForbiddenError
        If registration is closed, or the invite code is wrong.
    TooManyRequestsError
        If too many invite codes were wrong lately, or there were too many registrations.
    InvalidFieldError
        If the password is easy to guess.
    ConflictError
        If the email is taken.
    """
    _check_registration(request, address)
    password = request.password.get_secret_value()
    if weakness := find_weakness(password, request.email.replace("@", ".").split(".")):
        message = f"the password is too easy to guess ({weakness}): take a longer one, or words that have no connection"
        raise InvalidFieldError(message, code="WEAK_PASSWORD", field="password")
    user = User(
        id=new_id("usr"),
        email=request.email,
        password_hash=hash_password(password),
        scopes=USER_SCOPES,
        created_at=utc_now(),
    )
    if not repository.insert_user(user):
        raise ConflictError("a user with this email exists already", code="EMAIL_TAKEN", field="email")
    audit.record("user_registered", user_id=user.id, address=address)
    return UserResponse(user_id=user.id, email=user.email, created_at=user.created_at)


def login(request: LoginRequest, address: str) -> ApiKeyResponse:
    """Answer email and password with a short-lived key.

    Parameters
    ----------
    request : LoginRequest
    address : str
        Where the request comes from.

    Returns
    -------
    ApiKeyResponse

    Raises
    ------
    InvalidCredentialsError
        Whether the email or the password is wrong is not told.
    TooManyRequestsError
        If there were too many failures lately; there need not be such a user.
    """
    user = repository.find_user(request.email)
    user = _check_password(user, request.email, request.password, address, "email or password is wrong")
    expires_at = utc_now() + timedelta(seconds=AuthSettings.load().login_key_seconds)
    key, secret = _make_key(user.id, "login", user.scopes, expires_at)
    key = key.model_copy(update={"is_login": True})
    deleted = repository.insert_login_key(key, AuthSettings.load().login_keys_max)
    audit.record("login_succeeded", user_id=user.id, key_id=key.id, address=address)
    for key_id in deleted:
        audit.record("key_deleted", user_id=user.id, key_id=key_id, by_key_id=key.id)
    return _to_response(key, secret)


def describe_user(caller: Caller) -> CurrentUserResponse:
    """Describe the user behind the caller's key.

    Parameters
    ----------
    caller : Caller

    Returns
    -------
    CurrentUserResponse

    Raises
    ------
    NotFoundError
        If the user was deleted within the last minute.
    """
    user = _find_caller(caller)
    return CurrentUserResponse(
        user_id=user.id,
        email=user.email,
        created_at=user.created_at,
        key_id=caller.key_id,
        scopes=[scope for scope in user.scopes if scope in caller.scopes],
    )


def delete_user(caller: Caller, request: DeleteUserRequest, address: str) -> None:
    """Delete the caller with all that is theirs; what is not gone at once, `studio.auth.deletion` sweeps.

    Parameters
    ----------
    caller : Caller
    request : DeleteUserRequest
    address : str
        Where the request comes from.

    Raises
    ------
    InvalidCredentialsError
        If the password is wrong.
    TooManyRequestsError
        If there were too many failures lately.
    NotFoundError
        If the user was deleted within the last minute.
    """
    user = _find_caller(caller)
    _check_password(user, user.email, request.password, address, "the password is wrong")
    if not repository.delete_user(user.id, utc_now()):
        raise _no_such_user()
    audit.record("user_deleted", user_id=user.id, key_id=caller.key_id, address=address)
    try:
        repository.delete_owned(user.id, _DELETION_SECONDS, repository.LARGE)
    except PyMongoError:
        logger.exception("some of a deleted user's documents are left to the sweep", user_id=user.id)


def create_api_key(caller: Caller, api_key: str, request: CreateApiKeyRequest) -> ApiKeyResponse:
    """Make a key with at most the scopes of the caller's own, which ends no later than that does.

    Parameters
    ----------
    caller : Caller
    api_key : str
        The caller's, as it was sent.
    request : CreateApiKeyRequest

    Returns
    -------
    ApiKeyResponse

    Raises
    ------
    ForbiddenError
        If a scope is asked for that the caller's key lacks, or that key was revoked or rotated, or has expired.
    InvalidFieldError
        If it is asked for longer than the caller's key lives.
    ConflictError
        If the caller has as many working keys as there may be.
    """
    for scope in request.scopes:
        caller.require(scope, field="scopes")
    now = utc_now()
    expires_at = _choose_expiry(request.expires_in_days, _require_working_key(caller, api_key, now), now)
    scopes, limit = list(dict.fromkeys(request.scopes)), AuthSettings.load().api_keys_max
    key, secret = _make_key(caller.user_id, request.name, scopes, expires_at)
    if not repository.insert_api_key(key, limit, now):
        raise ConflictError(
            f"a user may have {limit:,} working keys; revoke one, and try again a minute later", code="TOO_MANY_KEYS"
        )
    audit.record("key_created", user_id=caller.user_id, key_id=key.id, by_key_id=caller.key_id)
    return _to_response(key, secret)


def list_api_keys(caller: Caller, limit: int, cursor: str | None) -> ListApiKeysResponse:
    """List the caller's keys without their secrets, newest first.

    Parameters
    ----------
    caller : Caller
    limit : int
        Size of a page, 1 to 100.
    cursor : str or None
        `next_cursor` of the page before.

    Returns
    -------
    ListApiKeysResponse
    """
    found = repository.list_api_keys(caller.user_id, cursor, limit + 1)
    items = [
        ApiKeySummary(
            key_id=key.id,
            prefix=f"studio_{key.prefix}",
            **key.model_dump(include=set(ApiKeySummary.model_fields) - {"key_id", "prefix"}),
        )
        for key in found[:limit]
    ]
    return ListApiKeysResponse(items=items, next_cursor=items[-1].key_id if len(found) > limit else None)


def rotate_api_key(caller: Caller, api_key: str, key_id: str, request: RotateApiKeyRequest) -> ApiKeyResponse:
    """Give one of the caller's keys another secret; id, prefix, scopes and expiry stay.

    Parameters
    ----------
    caller : Caller
    api_key : str
        The caller's, as it was sent.
    key_id : str
    request : RotateApiKeyRequest

    Returns
    -------
    ApiKeyResponse

    Raises
    ------
    NotFoundError
        If the caller has no such key, or it is revoked or expired.
    ForbiddenError
        If it has a scope that the caller's key lacks, or outlives that key, or that key was revoked or rotated, or has
        expired.
    ConflictError
        If somebody else rotates it at the same time.
    """
    now = utc_now()
    own = _require_working_key(caller, api_key, now)
    # A key that rotates itself is not read again: somebody else may have rotated it since its secret was compared.
    key = own if own.id == key_id else repository.find_working_key(key_id, caller.user_id, now)
    if key is None:
        raise _no_such_key(key_id)
    _require_scopes_of(key, caller)
    last, lasts_until = _last_end(own), _last_end(key)
    if last and (lasts_until is None or lasts_until > last):
        raise ForbiddenError(
            f"your key ends at {last:%Y-%m-%dT%H:%M:%SZ}, and {key_id}, or what that makes, may live on",
            code="OUTLIVES_YOUR_KEY",
            field="key_id",
        )
    secret = api_keys.generate().secret
    until = now + timedelta(seconds=request.grace_seconds)
    if not repository.rotate_api_key(key, api_keys.hash_secret(secret), until, now):
        raise ConflictError("the key was rotated or revoked just now; look at it again", code="KEY_CHANGED")
    audit.record("key_rotated", user_id=caller.user_id, key_id=key.id, by_key_id=caller.key_id)
    return _to_response(key, secret)


def revoke_api_key(caller: Caller, api_key: str, key_id: str) -> None:
    """Revoke one of the caller's keys; it stops working within the authorizer's cache time, 60 s.

    Parameters
    ----------
    caller : Caller
    api_key : str
        The caller's, as it was sent.
    key_id : str

    Raises
    ------
    NotFoundError
        If the caller has no such key, or it is revoked or expired already.
    ForbiddenError
        If it has a scope that the caller's key lacks, or that key was revoked or rotated, or has expired; any key that
        works may revoke itself.
    """
    now = utc_now()
    key = repository.find_working_key(key_id, caller.user_id, now)
    if key is None:
        raise _no_such_key(key_id)
    _require_working_key(caller, api_key, now)
    if key.id != caller.key_id:
        _require_scopes_of(key, caller)
    if not repository.revoke_api_key(key_id, caller.user_id, now):
        raise _no_such_key(key_id)
    audit.record("key_revoked", user_id=caller.user_id, key_id=key_id, by_key_id=caller.key_id)


def authorize(api_key: str, address: str) -> Caller | None:
    """Find who is behind a key.

    Parameters
    ----------
    api_key : str
    address : str
        Where the request comes from.

    Returns
    -------
    Caller or None
        None where the key is malformed, unknown, wrong, expired or revoked, or its user deleted.
    """
    parts = api_keys.split(api_key)
    key = repository.find_api_key(parts.prefix) if parts else None
    now = utc_now()
    if not parts or not key or not _opens(key, parts.secret, now):
        found = {"user_id": key.user_id, "key_id": key.id} if key else {"user_id": None}
        audit.record("key_refused", **found, reason="wrong" if key else "unknown", address=address)
        return None
    user = repository.find_user_by_id(key.user_id)
    reasons = {
        "revoked": key.revoked_at is not None,
        "expired": key.expires_at is not None and key.expires_at <= now,
        "user deleted": user is None,
    }
    if user is None or any(reasons.values()):
        why = next(reason for reason, holds in reasons.items() if holds)
        audit.record("key_refused", user_id=key.user_id, key_id=key.id, reason=why, address=address)
        return None
    if key.last_used_at is None or now - key.last_used_at > TOUCH_EVERY:
        repository.touch_api_key(key.id, now, now - TOUCH_EVERY)
    # A scope that was taken from a user since no longer counts in their keys either.
    return Caller(user_id=key.user_id, key_id=key.id, scopes=frozenset(key.scopes) & frozenset(user.scopes))


def _find_caller(caller: Caller) -> User:
    user = repository.find_user_by_id(caller.user_id)
    if user is None:
        raise _no_such_user()
    return user


def _require_working_key(caller: Caller, api_key: str, now: datetime) -> ApiKey:
    """Refuse a key that has ended: for a minute the authorizer remembers it, and it would make or end others."""
    key, parts = repository.find_working_key(caller.key_id, caller.user_id, now), api_keys.split(api_key)
    if key is None or parts is None or not _opens(key, parts.secret, now):
        audit.record("key_refused", user_id=caller.user_id, key_id=caller.key_id, reason="ended")
        raise ForbiddenError("the key that you send was revoked or rotated, or has expired", code="KEY_ENDED")
    return key


def _choose_expiry(days: int | None, maker: ApiKey, now: datetime) -> datetime | None:
    """Return when a key ends that another one makes; refuse one that would outlive its maker."""
    last = _last_end(maker)
    expires_at = now + timedelta(days=days) if days else last
    if last and expires_at and expires_at > last:
        raise InvalidFieldError(
            f"your key ends at {last:%Y-%m-%dT%H:%M:%SZ}, and what it makes no later: "
            f"at most {(last - now).days} days; got {days}; by default, both end at once",
            field="expires_in_days",
        )
    return expires_at


def _last_end(key: ApiKey) -> datetime | None:
    """Return when all that a key makes has ended; None where nothing has to: who logs in makes keys for good."""
    return None if key.is_login else key.expires_at


def _require_scopes_of(key: ApiKey, caller: Caller) -> None:
    """Refuse a caller who can do less than a key of theirs can; scopes that were taken from its user it has no more."""
    for scope in set(key.scopes).intersection(_find_caller(caller).scopes):
        caller.require(scope)


def _no_such_user() -> NotFoundError:
    return NotFoundError("the user was deleted", code="USER_NOT_FOUND")


def _no_such_key(key_id: str) -> NotFoundError:
    return NotFoundError(f"you have no active key {key_id}", field="key_id")


def _opens(key: ApiKey, secret: str, now: datetime) -> bool:
    """Compare with the key's secret, and with the one before as long as that works."""
    if api_keys.verify_secret(secret, key.secret_hash):
        return True
    if key.previous_secret_hash is None or key.previous_until is None or key.previous_until <= now:
        return False
    return api_keys.verify_secret(secret, key.previous_secret_hash)


def _check_password(user: User | None, email: str, password: SecretStr, address: str, message: str) -> User:
    """Return the user whose password it is; refuse a wrong one, or any where too many were wrong."""
    user_id = user.id if user else None
    try:
        with attempts.attempt(address, email):
            # Of nobody too, which takes as long: the time does not tell whether there is such a user.
            is_right = verify_password(password.get_secret_value(), user.password_hash if user else None)
            if user is None or not is_right:
                audit.record("login_failed", user_id=user_id, address=address)
                raise InvalidCredentialsError(message)
            return user
    except TooManyRequestsError:
        audit.record("login_refused", user_id=user_id, address=address)
        raise


def _check_registration(request: RegisterRequest, address: str) -> None:
    settings = AuthSettings.load()
    if settings.registration == "closed":
        raise ForbiddenError("registration is closed", code="REGISTRATION_CLOSED")
    if settings.registration == "invite":
        if not settings.registration_invite_secret_arn:
            raise UnavailableError("registration by invite is not configured")
        expected = get_secret(settings.registration_invite_secret_arn)
        given = request.invite.get_secret_value() if request.invite else ""
        _check_invite(given, expected, address)
    # Before the password is looked at: that takes a core a while, whatever comes of it.
    try:
        attempts.count_registration(address)
    except TooManyRequestsError:
        audit.record("registration_refused", user_id=None, address=address)
        raise


def _check_invite(given: str, expected: str, address: str) -> None:
    try:
        with attempts.attempt(address):
            if not hmac.compare_digest(given.encode(), expected.encode()):
                raise ForbiddenError("registration needs a valid invite code", code="INVITE_REQUIRED", field="invite")
    except (ForbiddenError, TooManyRequestsError):
        audit.record("invite_refused", user_id=None, address=address)
        raise


def _make_key(user_id: str, name: str, scopes: list[Scope], expires_at: datetime | None) -> tuple[ApiKey, str]:
    """Return a key that is not stored yet, and its secret."""
    parts = api_keys.generate()
    key = ApiKey(
        id=new_id("key"),
        user_id=user_id,
        prefix=parts.prefix,
        secret_hash=api_keys.hash_secret(parts.secret),
        name=name,
        scopes=scopes,
        created_at=utc_now(),
        expires_at=expires_at,
    )
    return key, parts.secret


def _to_response(key: ApiKey, secret: str) -> ApiKeyResponse:
    return ApiKeyResponse(
        key_id=key.id,
        api_key=api_keys.join(api_keys.KeyParts(key.prefix, secret)),
        name=key.name,
        scopes=key.scopes,
        created_at=key.created_at,
        expires_at=key.expires_at,
    )
