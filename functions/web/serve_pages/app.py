"""The one ASGI app: the API documentation and its static files."""

import json
from pathlib import Path

from aws_lambda_powertools.event_handler.openapi import swagger_ui
from mangum import Mangum
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

OPENAPI = Path(__file__).with_name("openapi.json")
SWAGGER_FILES = Path(swagger_ui.__file__).parent


def lead_to_docs(request: Request) -> Response:
    return RedirectResponse("/docs", status_code=307)


def show_docs(request: Request) -> Response:
    page = swagger_ui.generate_swagger_html(
        spec=json.dumps(json.loads(OPENAPI.read_text())).replace("</", "<\\/"),
        swagger_js="/docs/swagger-ui-bundle.min.js",
        swagger_css="/docs/swagger-ui.min.css",
        swagger_base_url="/docs",
        oauth2_config=None,
        persist_authorization=False,
    )
    return HTMLResponse(page.replace("<title>Swagger UI</title>", "<title>Studio API</title>"))


def show_openapi(request: Request) -> Response:
    return FileResponse(OPENAPI, media_type="application/json")


app = Starlette(
    routes=[
        Route("/", lead_to_docs),
        Route("/docs", show_docs),
        Route("/openapi.json", show_openapi),
        Mount("/docs", StaticFiles(directory=SWAGGER_FILES)),
    ]
)

lambda_handler = Mangum(app, lifespan="off")
