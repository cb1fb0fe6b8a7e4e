"""Who sent a request."""

from pydantic import BaseModel

from studio.errors import ForbiddenError


class Caller(BaseModel, frozen=True):
    """The user and key behind a request, as the authorizer found them."""

    user_id: str
    key_id: str
    scopes: frozenset[str]

    def require(self, *scopes: str, field: str | None = None) -> None:
        """Refuse a key that has none of some scopes.

        Parameters
        ----------
        *scopes : {"grade", "export", "admin"}
        field : str, optional
            That asks for them, where it is not the route itself.

        Raises
        ------
        ForbiddenError
            It names the scopes that would do and those that the key has.
        """
        if self.scopes.isdisjoint(scopes):
            has = ", ".join(sorted(self.scopes)) or "none"
            message = f"this needs a key with the scope {' or '.join(scopes)}; this key has {has}"
            raise ForbiddenError(message, code="MISSING_SCOPE", field=field)
