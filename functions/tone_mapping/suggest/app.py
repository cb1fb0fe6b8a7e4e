from studio.http import answers, create_app, create_handler, get_caller, get_deadline, get_request_id
from studio.tone_mapping.suggest import service
from studio.tone_mapping.suggest.models import SuggestRequest, SuggestResponse

app = create_app()


@app.post(
    "/tone-mapping/suggest",
    operation_id="suggest",
    summary="Suggest sliders for words",
    description="A language model (OpenAI's, or another one that this deployment names) chooses sliders for your "
    "words. Your words are sent to it, and, if you send an image, a JPEG of it of at most 384x384 pixels without "
    "metadata; nothing else is. 503 `NOT_CONFIGURED`: the deployment has no model. 503 `MODEL_BUSY`, `MODEL_TIMEOUT`, "
    "`MODEL_UNAVAILABLE` and `MODEL_UNUSABLE` are worth another try after `retry-after`. 422 `MODEL_REFUSED`: the "
    "model refuses the request.",
    tags=["Tone mapping"],
    responses=answers(200, 400, 403, 404, 409, 413, 415, 503),
)
def suggest(request: SuggestRequest) -> SuggestResponse:
    return service.suggest(get_caller(app), request, get_request_id(app), deadline=get_deadline(app))


lambda_handler = create_handler(app, idempotent=True, scope="grade")
