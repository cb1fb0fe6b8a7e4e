#!/usr/bin/env bash
# Makes sure that a Docker engine answers: the one that runs, else Debian's dockerd, started here as root.
# The host's iptables are left alone: functions reach the stack over the bridge, and nothing else.
set -euo pipefail

if docker info >/dev/null 2>&1; then
    echo "Docker engine: running"
    exit
fi
if ! command -v dockerd >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "Docker engine: none runs, and starting one takes dockerd (apt-get install docker.io) and root." >&2
    exit 1
fi

state="$(cd "$(dirname "$0")/../.." && pwd)/.local"
mkdir -p "$state"
setsid dockerd --iptables=false --ip6tables=false --pidfile "$state/dockerd.pid" </dev/null >"$state/dockerd.log" 2>&1 &
for _ in $(seq 240); do
    if docker info >/dev/null 2>&1; then
        echo "Docker engine: started, pid $(cat "$state/dockerd.pid")"
        exit
    fi
    sleep 0.5
done
echo "Docker engine: dockerd did not answer within 120 s:" >&2
tail -n 20 "$state/dockerd.log" >&2
exit 1
