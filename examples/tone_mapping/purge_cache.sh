#!/usr/bin/env bash
# DELETE /tone-mapping/cache: every entry of yours, with its pixels
set -euo pipefail

curl -sS --fail-with-body -X DELETE "$STUDIO_URL/tone-mapping/cache" -H "X-API-KEY: $STUDIO_API_KEY"
