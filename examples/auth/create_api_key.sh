#!/usr/bin/env bash
# POST /auth/api-keys: a key that may only grade, for 30 days; the answer shows it this once
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/auth/api-keys" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
  -d '{"name": "retouch script", "scopes": ["grade"], "expires_in_days": 30}'
