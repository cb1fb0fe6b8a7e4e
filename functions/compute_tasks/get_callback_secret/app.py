from studio.compute_tasks import callbacks
from studio.compute_tasks.models import CallbackSecretResponse
from studio.http import answers, create_app, create_handler, get_caller

app = create_app()


@app.get(
    "/compute-tasks/callback-secret",
    operation_id="get_callback_secret",
    summary="Show what your callbacks are signed with",
    description="A callback carries `studio-signature: t=<seconds>,v1=<hexadecimal>`: the HMAC-SHA256 of `<t>.<body>` "
    "with this secret as its key. Refuse one whose signature is another or whose `t` is older than five minutes; every "
    "try is signed again and has the same `studio-delivery`. Answer with 2xx within 10 s; another answer is followed "
    "by seven more tries within some 64 minutes, but for 410, which ends them.",
    tags=["Compute tasks"],
    responses=answers(200, 403, 503),
)
def get_callback_secret() -> CallbackSecretResponse:
    return callbacks.show_secret(get_caller(app))


lambda_handler = create_handler(app)
