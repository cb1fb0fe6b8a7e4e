"""The HTTP API's authorizer: who is behind X-API-KEY. Its answer is cached by key for 60 s."""

from typing import Any

from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from studio.auth import service
from studio.observability import logger, tracer


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    caller = service.authorize(event["identitySource"][0], event["requestContext"]["http"]["sourceIp"])
    if caller is None:
        return {"isAuthorized": False}
    return {
        "isAuthorized": True,
        "context": {"user_id": caller.user_id, "key_id": caller.key_id, "scopes": " ".join(sorted(caller.scopes))},
    }
