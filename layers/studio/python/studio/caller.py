"""Who sent a request."""

from pydantic import BaseModel

from studio.errors import ForbiddenError


class Caller(BaseModel, frozen=True):
    """The user and key behind a request, as the authorizer found them."""

    user_id: str
    key_id: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Refuse a key without a scope.

        Parameters
        ----------
        scope : {"grade", "export", "admin"}

        Raises
        ------
        ForbiddenError
            It names the scope that is missing and those that the key has.
        """
        if scope not in self.scopes:
            has = ", ".join(sorted(self.scopes)) or "none"
            raise ForbiddenError(f"this needs a key with the scope {scope}; this key has {has}", code="MISSING_SCOPE")
