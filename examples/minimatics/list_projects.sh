#!/usr/bin/env bash
# GET /minimatics/projects: [CURSOR], the next_cursor of the page before
set -euo pipefail

curl -sS --fail-with-body -G "$STUDIO_URL/minimatics/projects" -d limit=20 ${1:+-d "cursor=$1"} \
  -H "X-API-KEY: $STUDIO_API_KEY"
