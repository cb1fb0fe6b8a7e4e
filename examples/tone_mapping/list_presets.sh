#!/usr/bin/env bash
# GET /tone-mapping/presets: built-in looks and your own
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/presets?limit=100" -H "X-API-KEY: $STUDIO_API_KEY"
