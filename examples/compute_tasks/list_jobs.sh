#!/usr/bin/env bash
# GET /compute-tasks: the newest 20
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/compute-tasks?limit=20" -H "X-API-KEY: $STUDIO_API_KEY"
