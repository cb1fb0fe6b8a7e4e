"""Refuses what S3 refuses and moto lets through: bad or expired presigned URLs and forms, and strangers."""

import base64
import binascii
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4PostAuth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from werkzeug.wrappers import Request

MAX_EXPIRY_SECONDS = 604_800
TIMESTAMP = "%Y%m%dT%H%M%SZ"
# Fields of a form that its policy need not mention.
POLICY_FREE_FIELDS = {"x-amz-signature", "policy", "file"}


@dataclass
class Refusal(Exception):  # noqa: N818
    """An answer of S3's that refuses a request."""

    status: int
    code: str
    message: str

    @property
    def body(self) -> bytes:
        """The answer's XML."""
        text = f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message></Error>"
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


def check(request: Request, credentials: Credentials) -> None:
    """Check a request for one of the stack's buckets.

    Requests signed in their header pass: they come from an SDK, which signs with what it was given.

    Raises
    ------
    Refusal
        If S3 would refuse it.
    """
    if request.method == "OPTIONS" or "Authorization" in request.headers:
        return
    if "X-Amz-Signature" in request.args:
        _check_url(request, credentials)
    elif "Signature" in request.args:
        message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        raise Refusal(400, "InvalidRequest", message)
    elif request.method == "POST" and request.mimetype == "multipart/form-data":
        _check_form(request, credentials)
    else:
        raise Refusal(403, "AccessDenied", "Access Denied")


def _check_url(request: Request, credentials: Credentials) -> None:
    arguments = request.args
    raw_url = request.environ["REQUEST_URI"]
    try:
        started = datetime.strptime(arguments["X-Amz-Date"], TIMESTAMP).replace(tzinfo=UTC)
        lifetime = int(arguments["X-Amz-Expires"])
        signed_headers = arguments["X-Amz-SignedHeaders"].split(";")
        credential = arguments["X-Amz-Credential"]
    except (KeyError, ValueError):
        raise Refusal(400, "AuthorizationQueryParametersError", "Query-string authentication is incomplete") from None
    if not 0 < lifetime <= MAX_EXPIRY_SECONDS:
        message = f"X-Amz-Expires must be between 1 and {MAX_EXPIRY_SECONDS} seconds"
        raise Refusal(400, "AuthorizationQueryParametersError", message)
    region = _region(credential, credentials)

    path, _, query = raw_url.partition("?")
    unsigned = "&".join(part for part in query.split("&") if not part.startswith("X-Amz-Signature="))
    signer = S3SigV4QueryAuth(credentials, "s3", region, expires=lifetime)
    sent = AWSRequest(
        method=request.method,
        url=f"http://{request.host}{path}?{unsigned}",
        headers={name: request.headers[name] for name in signed_headers if name in request.headers},
    )
    sent.context["timestamp"] = arguments["X-Amz-Date"]
    expected = signer.signature(signer.string_to_sign(sent, signer.canonical_request(sent)), sent)
    _compare(arguments["X-Amz-Signature"], expected)
    if datetime.now(UTC) > started + timedelta(seconds=lifetime):
        raise Refusal(403, "AccessDenied", "Request has expired")


def _check_form(request: Request, credentials: Credentials) -> None:
    # moto parses the form once more.
    body = request.get_data(cache=False)
    request.environ["wsgi.input"] = io.BytesIO(body)
    parsed = Request({**request.environ, "wsgi.input": io.BytesIO(body)})
    fields = {name.lower(): value for name, value in parsed.form.items()}
    if "policy" not in fields:
        raise Refusal(403, "AccessDenied", "Access Denied")
    try:
        date, credential, given = (fields[f"x-amz-{name}"] for name in ("date", "credential", "signature"))
        policy = json.loads(base64.b64decode(fields["policy"]))
        expiration = datetime.fromisoformat(policy["expiration"])
        conditions = policy["conditions"]
    except (KeyError, ValueError, binascii.Error):
        raise Refusal(400, "InvalidPolicyDocument", "Invalid Policy: the form is incomplete") from None

    signer = S3SigV4PostAuth(credentials, "s3", _region(credential, credentials))
    signed = AWSRequest()
    signed.context["timestamp"] = date
    _compare(given, signer.signature(fields["policy"], signed))
    if datetime.now(UTC) > expiration:
        raise Refusal(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
    # Browsers send the object in the field `file`, with a file name or without.
    file = parsed.files.get("file")
    size = len(file.read()) if file else len(fields.get("file", "").encode())
    _check_conditions(conditions, fields, bucket=request.path.split("/")[1], size=size)


def _check_conditions(conditions: list[Any], fields: Mapping[str, str], bucket: str, size: int) -> None:
    values = {**fields, "bucket": bucket}
    mentioned = set()

    def check_field(operator: str, name: str, wanted: str) -> None:
        value = values.get(name.lower(), "")
        mentioned.add(name.lower())
        if not (value == wanted if operator == "eq" else value.startswith(wanted)):
            message = f'Invalid according to Policy: Policy Condition failed: ["{operator}", "${name}", "{wanted}"]'
            raise Refusal(403, "AccessDenied", message)

    for condition in conditions:
        match condition:
            case dict():
                for name, wanted in condition.items():
                    check_field("eq", name, wanted)
            case [("eq" | "starts-with") as operator, name, wanted]:
                check_field(operator, name.removeprefix("$"), wanted)
            case ["content-length-range", _, most] if size > int(most):
                raise Refusal(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
            case ["content-length-range", least, _] if size < int(least):
                raise Refusal(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
    for name in fields:
        if name not in mentioned | POLICY_FREE_FIELDS and not name.startswith("x-ignore-"):
            raise Refusal(403, "AccessDenied", f"Invalid according to Policy: Extra input fields: {name}")


def _region(credential: str, credentials: Credentials) -> str:
    """Return the region of a credential scope such as `key/20260131/us-east-1/s3/aws4_request`."""
    access_key, *scope = credential.split("/")
    if access_key != credentials.access_key:
        message = "The AWS Access Key Id you provided does not exist in our records."
        raise Refusal(403, "InvalidAccessKeyId", message)
    if len(scope) != 4:
        raise Refusal(400, "AuthorizationQueryParametersError", "Error parsing the Credential")
    return scope[1]


def _compare(given: str, expected: str) -> None:
    if given != expected:
        message = "The request signature we calculated does not match the signature you provided."
        raise Refusal(403, "SignatureDoesNotMatch", message)
