from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping import service
from studio.tone_mapping.models import CreateLutRequest, CreateLutResponse

app = create_app()


@app.post(
    "/tone-mapping/lut",
    operation_id="create_lut",
    summary="Compile sliders into a LUT",
    description="The sliders of an automatic correction, or your own, as the text of a .cube file.",
    tags=["Tone mapping"],
    responses=answers(200, 400, 403, 415),
)
def create_lut(request: CreateLutRequest) -> CreateLutResponse:
    return service.create_lut(get_caller(app), request)


lambda_handler = create_handler(app)
