#!/usr/bin/env bash
# DELETE /auth/api-keys/{key_id}: KEY_ID
set -euo pipefail

curl -sS --fail-with-body -X DELETE "$STUDIO_URL/auth/api-keys/$1" -H "X-API-KEY: $STUDIO_API_KEY"
