from studio.compute_tasks import callbacks
from studio.compute_tasks.models import CallbackSecretResponse
from studio.http import answers, create_app, create_handler, get_caller

app = create_app()


@app.get(
    "/compute-tasks/callback-secret",
    operation_id="get_callback_secret",
    summary="Show what your callbacks are signed with",
    description="A callback carries `studio-signature: t=<seconds>,v1=<hexadecimal>`: the HMAC-SHA256 of `<t>.<body>` "
    "with this secret as its key. Refuse a callback if its signature differs or its `t` is older than five minutes. "
    "Every attempt is signed anew and has the same `studio-delivery`. Answer with 2xx within 10 s. After any other "
    "answer, seven more attempts follow within about 64 minutes; a 410 ends them.",
    tags=["Compute tasks"],
    responses=answers(200, 403, 503),
)
def get_callback_secret() -> CallbackSecretResponse:
    return callbacks.show_secret(get_caller(app))


lambda_handler = create_handler(app)
