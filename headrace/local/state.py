"""The state folder of one stack: who runs it, its ports, its secrets, its logs. 0700, secrets 0600.

One stack at a time holds the folder's lock; the kernel drops it when that process ends, however it ends.
"""

import base64
import fcntl
import json
import os
import secrets
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from common.errors import StackError
from headrace.local.process import Identity

DEFAULT_FOLDER = ".headrace"
OWN_FOLDERS = ("postgres", "valkey", "kafka", "elasticsearch", "llm", "logs", "jars")
OWN_FILES = ("api_key", "models.demo.toml", "ports.json", "secrets.json", "run.json", "lock")


class Secrets(BaseModel):
    """Made at the first start and never changed."""

    model_config = ConfigDict(frozen=True)

    postgres_password: str = Field(repr=False)
    valkey_password: str = Field(repr=False)
    kafka_cluster_id: str
    state_id: str


class ProcessRecord(BaseModel):
    """One process of a running stack, as told to ``status`` and to the next start."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started_ticks: int
    port: int | None = None
    restarts: int = 0

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.started_ticks)


class RunRecord(BaseModel):
    """run.json: the supervisor and all processes it runs now."""

    model_config = ConfigDict(frozen=True)

    supervisor: ProcessRecord
    processes: dict[str, ProcessRecord] = {}
    drain_s: float = 0.0
    """How long its services may finish what they are at when they are stopped."""


def home(environ: Mapping[str, str]) -> Path:
    """$HEADRACE_HOME, else ``.headrace`` in the current folder; absolute."""
    return Path(environ.get("HEADRACE_HOME") or DEFAULT_FOLDER).expanduser().absolute()


class State:
    """Paths and small files of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.logs = self.folder / "logs"
        self.api_key_file = self.folder / "api_key"
        self.models_file = self.folder / "models.toml"
        self._lock_file = self.folder / "lock"
        self._secrets_file = self.folder / "secrets.json"
        self._ports_file = self.folder / "ports.json"
        self._run_file = self.folder / "run.json"
        self._lock_fd: int | None = None

    def exists(self) -> bool:
        return self._secrets_file.exists()

    def acquire(self) -> None:
        """Makes the folder and takes its lock. Raises StackError when another stack runs here."""
        try:
            self._refuse_strange_folder()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Root's Postgres runs as another user, who must walk through this folder, not read it.
            self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            fd = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StackError(
                f"The state folder {self.folder} cannot be used: {error.strerror}.",
                "Set HEADRACE_HOME to a folder that can be written.",
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise StackError(
                f"Headrace already runs on {self.folder}{self._holder()}.",
                "See it with headrace status, stop it with headrace down, or set another HEADRACE_HOME.",
            ) from error
        self._lock_fd = fd

    def _refuse_strange_folder(self) -> None:
        """A folder that holds other things keeps its rights and contents."""
        if not self.folder.exists() or self._lock_file.exists():
            return
        strangers = [entry.name for entry in self.folder.iterdir() if entry.name != self.models_file.name]
        if strangers:
            raise StackError(
                f"{self.folder} holds other things ({strangers[0]}) and is no state folder of Headrace.",
                "Set HEADRACE_HOME to a new or empty folder.",
            )

    def release(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def locked(self) -> bool:
        """Whether some stack runs on this folder now."""
        try:
            fd = os.open(self._lock_file, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    def _holder(self) -> str:
        record = self.run_record()
        return f" (pid {record.supervisor.pid})" if record else ""

    def secrets(self) -> Secrets:
        """Those of this state; made on first use. Only the lock's holder calls this."""
        if self._secrets_file.exists():
            return Secrets.model_validate_json(self._secrets_file.read_bytes())
        made = Secrets(
            postgres_password=secrets.token_urlsafe(24),
            valkey_password=secrets.token_urlsafe(24),
            kafka_cluster_id=_kafka_uuid(),
            state_id=secrets.token_hex(8),
        )
        write_private(self._secrets_file, made.model_dump_json())
        return made

    def ports(self) -> dict[str, int]:
        try:
            kept: dict[str, int] = json.loads(self._ports_file.read_bytes())
        except FileNotFoundError:
            return {}
        return kept

    def keep_ports(self, ports: Mapping[str, int]) -> None:
        write_private(self._ports_file, json.dumps({**self.ports(), **ports}))

    def run_record(self) -> RunRecord | None:
        try:
            return RunRecord.model_validate_json(self._run_file.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def keep_run_record(self, record: RunRecord) -> None:
        write_private(self._run_file, record.model_dump_json(indent=1))

    def forget_run(self) -> None:
        self._run_file.unlink(missing_ok=True)

    def delete(self) -> None:
        """Removes what a stack made here, and the folder if nothing else is left in it."""
        for name in (*OWN_FOLDERS, *OWN_FILES):
            path = self.folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()


def _kafka_uuid() -> str:
    """22 characters, as Kafka's format tool wants it; a leading dash would be read there as an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        continue
    return text


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, readable by the owner only."""
    draft = path.with_name(path.name + ".new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as out:
        out.write(text)
    draft.replace(path)
