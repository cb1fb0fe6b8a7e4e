"""`python -m local dev`: the embedded stack, left running; `python -m local demo`: photographs through it."""

import argparse
import json
import logging
import signal
import threading
from pathlib import Path

from local.layers import ROOT
from local.stack import Stack
from local.users import make_api_key

FACTS = ROOT / ".local" / "stack.json"


def main() -> None:
    """Run a command of the embedded stack."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    dev = commands.add_parser("dev", help="run the stack until stopped")
    dev.add_argument("--port", type=int, default=8000, help="the API's port (8000); 0 takes a free one")
    dev.add_argument("--data", type=Path, help="folder that keeps the database and the objects")
    dev.add_argument("--facts", type=Path, default=FACTS, help="file that the facts for scripts go to")
    commands.add_parser("demo", help="correct a photograph, export a film, and stop")
    arguments = parser.parse_args()
    if arguments.command == "demo":
        from local.demo import run_demo  # here, since `dev` needs none of its libraries

        run_demo()
        return
    run_dev(arguments.port, arguments.data, arguments.facts)


def run_dev(port: int, data: Path | None, facts: Path) -> None:
    """Run the stack until SIGINT or SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("local").setLevel(logging.INFO)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with Stack(data=data, port=port, echo=True) as stack:
        api_key = make_api_key(stack.url)
        print(_welcome(stack.url, api_key), flush=True)
        written = ""
        while not stopped.wait(1 if written else 0):
            text = _facts(stack, api_key)
            if text != written:  # workers come and go
                fresh = facts.with_suffix(".new")
                fresh.write_text(text)
                fresh.replace(facts)
                written = text
        # Another stack may have taken the file since.
        if facts.exists() and facts.read_text() == written:
            facts.unlink()
    print("stopped", flush=True)


def _facts(stack: Stack, api_key: str) -> str:
    facts = {
        "url": stack.url,
        "api_key": api_key,
        "mongodb_uri": stack.mongodb_uri,
        "aws_endpoint_url": stack.aws_endpoint_url,
        "bucket_name": stack.bucket_name,
        "pids": stack.pids,
    }
    return json.dumps(facts, indent=2) + "\n"


def _welcome(url: str, api_key: str) -> str:
    return f"""
Studio runs at {url} (documentation: {url}/docs). Ctrl-C stops it. In another terminal:

  export STUDIO_URL={url} STUDIO_API_KEY={api_key}
  examples/tone_mapping/auto_correct.sh photo.jpg graded.jpg

Functions log here and to .local/logs/; .local/stack.json holds these facts for scripts.
"""


if __name__ == "__main__":
    main()
