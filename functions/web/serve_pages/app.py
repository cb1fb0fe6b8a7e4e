"""The one ASGI app: the API documentation and its static files."""

import json
from pathlib import Path

from aws_lambda_powertools.event_handler.openapi import swagger_ui
from mangum import Mangum
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

OPENAPI = Path(__file__).with_name("openapi.json")
SWAGGER_UI = Path(swagger_ui.__file__).parent
STATIC_FILES = {name: SWAGGER_UI / name for name in ("swagger-ui-bundle.min.js", "swagger-ui.min.css")}


def lead_to_docs(request: Request) -> Response:
    return RedirectResponse("/docs", status_code=307)


def show_docs(request: Request) -> Response:
    page = swagger_ui.generate_swagger_html(
        spec=json.dumps(json.loads(OPENAPI.read_text())).replace("</", "<\\/"),
        swagger_js="/docs/swagger-ui-bundle.min.js",
        swagger_css="/docs/swagger-ui.min.css",
        swagger_base_url="/openapi.json",
        oauth2_config=None,
        persist_authorization=False,
    )
    return HTMLResponse(page.replace("<title>Swagger UI</title>", "<title>Studio API</title>"))


def send_static_file(request: Request) -> Response:
    path = STATIC_FILES.get(request.path_params["file"])
    if path is None:
        raise HTTPException(404)
    return FileResponse(path, headers={"cache-control": "public, max-age=86400"})


def show_openapi(request: Request) -> Response:
    return FileResponse(OPENAPI, media_type="application/json")


app = Starlette(
    routes=[
        Route("/", lead_to_docs),
        Route("/docs", show_docs),
        Route("/docs/{file}", send_static_file),
        Route("/openapi.json", show_openapi),
    ]
)

lambda_handler = Mangum(app, lifespan="off")
