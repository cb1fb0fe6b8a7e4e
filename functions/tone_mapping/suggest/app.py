from studio.http import answers, create_app, create_handler, get_caller, get_deadline, get_request_id
from studio.tone_mapping.suggest import service
from studio.tone_mapping.suggest.models import SuggestRequest, SuggestResponse

app = create_app()


@app.post(
    "/tone-mapping/suggest",
    operation_id="suggest",
    summary="Suggest sliders for words",
    description="A language model (OpenAI's, or what this deployment names instead) chooses sliders for your words. "
    "They are sent to it, and with an image a JPEG of it, at most 384 pixels wide and high and without metadata; "
    "nothing else. 503 `NOT_CONFIGURED` where there is none; `MODEL_BUSY`, `MODEL_TIMEOUT`, `MODEL_UNAVAILABLE` and "
    "`MODEL_UNUSABLE` are worth another try after `retry-after`. 422 `MODEL_REFUSED` where it will not.",
    tags=["Tone mapping"],
    responses=answers(200, 400, 403, 404, 409, 413, 415, 503),
)
def suggest(request: SuggestRequest) -> SuggestResponse:
    return service.suggest(get_caller(app), request, get_request_id(app), deadline=get_deadline(app))


lambda_handler = create_handler(app, idempotent=True, scope="grade")
