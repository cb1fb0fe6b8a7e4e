#!/usr/bin/env bash
# GET /uploads: the first 20, oldest first
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/uploads?limit=20" -H "X-API-KEY: $STUDIO_API_KEY"
