#!/usr/bin/env bash
# GET /, /docs, /docs/{file}, /openapi.json: the documentation and the document behind it.
set -euo pipefail

curl -sS --fail-with-body --location --output /dev/null "$STUDIO_URL/"
curl -sS --fail-with-body --output /dev/null "$STUDIO_URL/docs"
curl -sS --fail-with-body --output /dev/null "$STUDIO_URL/docs/swagger-ui.min.css"
curl -sS --fail-with-body "$STUDIO_URL/openapi.json"
