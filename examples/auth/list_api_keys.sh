#!/usr/bin/env bash
# GET /auth/api-keys: [CURSOR], the next_cursor of the page before
set -euo pipefail

curl -sS --fail-with-body -G "$STUDIO_URL/auth/api-keys" -d limit=20 ${1:+-d "cursor=$1"} \
  -H "X-API-KEY: $STUDIO_API_KEY"
