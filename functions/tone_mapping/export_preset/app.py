from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from studio.http import answers, create_app, create_handler, get_caller
from studio.tone_mapping.presets import files

app = create_app()


@app.get(
    "/tone-mapping/presets/<preset_id>/cube",
    operation_id="export_preset",
    summary="Export a preset as .cube",
    description="Returns the file itself, of `size` grid points a side: by default what grading an 8-bit image takes, "
    f"at most {files.EXPORT_MAX_NODES}. For a larger LUT, or one at a strength, use POST /tone-mapping/lut.",
    tags=["Presets"],
    responses=answers(200, 403, 404, 503) | {200: {"description": "OK", "content": {"text/plain": {}}}},
)
def export_preset(
    preset_id: Annotated[str, Path(max_length=64)],
    size: Annotated[int | None, Query(ge=2, le=files.EXPORT_MAX_NODES)] = None,
) -> Response[str]:
    name, text = files.export_preset(get_caller(app), preset_id, size)
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(200, content_type="text/plain; charset=utf-8", body=text, headers=headers)


lambda_handler = create_handler(app)
