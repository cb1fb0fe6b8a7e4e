from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping.presets import files
from studio.tone_mapping.presets.models import ImportPresetRequest, ImportPresetResponse

app = create_app()


@app.post(
    "/tone-mapping/presets/import",
    status_code=201,
    operation_id="import_preset",
    summary="Import a preset",
    description="Makes a preset from a .cube, .3dl or Lightroom .xmp file, and lists the .xmp settings that Studio "
    "does not support.",
    tags=["Presets"],
    responses=answers(201, 400, 403, 404, 409, 413, 415, 503),
)
def import_preset(request: ImportPresetRequest) -> ImportPresetResponse:
    return files.import_preset(get_caller(app), request)


lambda_handler = create_handler(app, idempotent=True, scope="grade")
