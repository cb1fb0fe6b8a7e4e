#!/usr/bin/env bash
# DELETE /tone-mapping/cache/{cache_key}: CACHE_KEY
set -euo pipefail

curl -sS --fail-with-body -X DELETE "$STUDIO_URL/tone-mapping/cache/$1" -H "X-API-KEY: $STUDIO_API_KEY"
