#!/usr/bin/env bash
# POST /auth/login: EMAIL PASSWORD
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/auth/login" \
  -H "Content-Type: application/json" \
  -d "{\"email\": \"$1\", \"password\": \"$2\"}"
