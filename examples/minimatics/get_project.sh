#!/usr/bin/env bash
# GET /minimatics/projects/{project_id}: PROJECT_ID [VERSION], the latest by default
set -euo pipefail

curl -sS --fail-with-body -G "$STUDIO_URL/minimatics/projects/$1" ${2:+-d "version=$2"} -H "X-API-KEY: $STUDIO_API_KEY"
