#!/usr/bin/env bash
# GET /compute-tasks/callback-secret
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/compute-tasks/callback-secret" -H "X-API-KEY: $STUDIO_API_KEY"
