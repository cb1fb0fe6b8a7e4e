"""Child processes that never outlive this one."""

import random
import shutil
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

# The kernel ties the death signal to the thread that forks, so every child comes from one thread that lives as we do.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def spawn(
    arguments: Sequence[str | Path],
    *,
    output: int | IO[bytes],
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that is killed when this process ends, however it ends.

    Parameters
    ----------
    arguments
        The program and its arguments.
    output
        Where its standard output and error go together, as `subprocess.Popen` takes it.
    environment
        Its whole environment; ours where it is None.
    folder
        Its working directory.
    """
    setpriv = shutil.which("setpriv")  # util-linux; elsewhere a killed parent leaves children behind
    prefix = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    return _spawner.submit(
        subprocess.Popen,
        [*prefix, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        start_new_session=True,  # Ctrl-C is for us: children are stopped in order
    ).result()


def free_port() -> int:
    """Return a loopback port that nothing listens on.

    It lies below the range that the kernel hands out: whoever restarts on it finds it free again.
    """
    while True:
        port = random.randrange(15_000, 32_000)  # noqa: S311
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
