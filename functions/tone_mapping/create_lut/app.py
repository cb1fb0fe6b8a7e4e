from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping import service
from studio.tone_mapping.models import CreateLutRequest, CreateLutResponse

app = create_app()


@app.post(
    "/tone-mapping/lut",
    operation_id="create_lut",
    summary="Compile a LUT",
    description="Combines an image's automatic correction, a preset and sliders into one LUT: a .cube file, or a table "
    "for a preview.",
    tags=["Tone mapping"],
    responses=answers(200, 400, 403, 404, 413, 415, 503),
)
def create_lut(request: CreateLutRequest) -> CreateLutResponse:
    return service.create_lut(get_caller(app), request)


lambda_handler = create_handler(app)
