#!/usr/bin/env bash
# POST /auth/api-keys/{key_id}/rotate: KEY_ID; the previous secret works for an hour more
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/auth/api-keys/$1/rotate" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" -d '{"grace_seconds": 3600}'
