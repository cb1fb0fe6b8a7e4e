#!/usr/bin/env bash
# GET /tone-mapping/cache: totals, and the entries, the last used first
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/cache?limit=20" -H "X-API-KEY: $STUDIO_API_KEY"
