#!/usr/bin/env bash
# GET /health: does everything answer?
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/health"
