#!/usr/bin/env bash
# GET /auth/me
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/auth/me" -H "X-API-KEY: $STUDIO_API_KEY"
