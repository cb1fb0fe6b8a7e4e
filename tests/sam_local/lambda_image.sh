#!/usr/bin/env bash
# Makes sure that Lambda's Python image is there: pulled where its registry can be reached, else a stand-in made of Debian
# bookworm (its python3 is 3.11) and what Amazon's own runtime is made of: awslambdaric and boto3 under /var/runtime.
set -euo pipefail

image=public.ecr.aws/lambda/python:3.11-x86_64
root="$(cd "$(dirname "$0")/../.." && pwd)"

if docker image inspect "$image" >/dev/null 2>&1; then
    echo "Lambda image: there"
    exit
fi
echo "Lambda image: pulling $image"
if timeout 300 docker pull --quiet "$image"; then
    exit
fi
if ! command -v debootstrap >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "Lambda image: cannot be pulled, and the stand-in takes debootstrap (apt-get install debootstrap) and root." >&2
    exit 1
fi

echo "Lambda image: cannot be pulled, building a stand-in (about a minute, once)"
rootfs="$(mktemp -d)"
chmod 755 "$rootfs"
trap 'rm -rf "$rootfs" "$rootfs.log"' EXIT
mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Component: main' 'Codename: bookworm')"
timeout 600 debootstrap --variant=minbase --include=python3 bookworm "$rootfs" "${mirror%%$'\n'*}" >"$rootfs.log" || {
    tail -n 20 "$rootfs.log" >&2
    exit 1
}
rm -rf "$rootfs/var/cache/apt" "$rootfs/var/lib/apt"

mkdir -p "$rootfs/var/task" "$rootfs/opt"
"$root/.venv/bin/uv" pip install --quiet --target "$rootfs/var/runtime" --python-version 3.11 \
    --python-platform x86_64-manylinux2014 --constraint "$root/requirements-dev.txt" --group "$root/pyproject.toml:runtime"
cat >"$rootfs/var/runtime/bootstrap" <<'BOOTSTRAP'
#!/bin/sh
export PYTHONPATH="${LAMBDA_TASK_ROOT:-/var/task}:/opt/python:/var/runtime"
exec python3.11 -m awslambdaric "$_HANDLER"
BOOTSTRAP
chmod +x "$rootfs/var/runtime/bootstrap"

tar --create --numeric-owner --directory "$rootfs" . | docker import \
    --change 'WORKDIR /var/task' --change 'ENV LAMBDA_TASK_ROOT=/var/task LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin' \
    - "$image" >/dev/null
echo "Lambda image: built"
