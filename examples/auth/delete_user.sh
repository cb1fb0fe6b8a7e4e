#!/usr/bin/env bash
# DELETE /auth/me: PASSWORD; deletes the user with all that is theirs
set -euo pipefail

curl -sS --fail-with-body -X DELETE "$STUDIO_URL/auth/me" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
  -d "{\"password\": \"$1\"}"
