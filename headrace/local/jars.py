"""Fetches exactly the jars of jars.lock into a cache that all states share, and trusts only its own sha256.

A second fetch needs no network. A truncated or altered jar is deleted and fetched again. Nothing is resolved.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from common.errors import StackError
from headrace.local.wheels import wheel_folder

LOCK_FILE = Path(__file__).with_name("jars.lock")
DOWNLOAD_THREADS = 8
DOWNLOAD_TIMEOUT_S = 10
MB = 1_000_000
REPORT_EVERY_S = 1.0
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM}

# Called with the number of jars still missing and their bytes, after each one.
MissingReport = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Jar:
    bundle: str
    group: str
    artifact: str
    version: str
    sha256: str
    size_bytes: int

    def line(self) -> str:
        return f"{self.bundle} {self.group}:{self.artifact}:{self.version} {self.sha256} {self.size_bytes}"

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def path_in(self, cache_dir: Path) -> Path:
        return cache_dir.joinpath(*self.group.split("."), self.artifact, self.version, self.file_name)

    def intact_in(self, cache_dir: Path) -> bool:
        path = self.path_in(cache_dir)
        try:
            if path.stat().st_size != self.size_bytes:
                return False
            with path.open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest() == self.sha256
        except OSError:
            return False


@lru_cache
def locked(bundle: str) -> tuple[Jar, ...]:
    """The jars of one bundle, in lock order."""
    jars = []
    for line in LOCK_FILE.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        name, coordinate, sha256, size = line.split()
        if name == bundle:
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(name, group, artifact, version, sha256, int(size)))
    return tuple(jars)


@dataclass(frozen=True, slots=True)
class JarCache:
    """Where jars are kept, and the Maven repository they come from (None: Maven Central)."""

    folder: Path
    repository: str | None = None


def jar_cache(state_dir: Path, environ: Mapping[str, str]) -> JarCache:
    """$HEADRACE_CACHE, else the user's cache folder, else (home not writable) inside the state folder.

    $HEADRACE_MAVEN_REPOSITORY is for those who have a mirror.
    """
    repository = environ.get("HEADRACE_MAVEN_REPOSITORY")
    if chosen := environ.get("HEADRACE_CACHE"):
        return JarCache(Path(chosen).expanduser().absolute() / "jars", repository)
    home = environ.get("XDG_CACHE_HOME") or (environ["HOME"] + "/.cache" if environ.get("HOME") else "")
    shared = Path(home) / "headrace" / "jars"
    nearest = next((folder for folder in (shared, *shared.parents) if folder.exists()), Path("/"))
    usable = shared.is_absolute() and os.access(nearest, os.W_OK | os.X_OK)
    return JarCache(shared if usable else state_dir / "jars", repository)


def missing(bundle: str, folder: Path) -> list[Jar]:
    """The jars of a bundle that are absent or not byte for byte what the lock says."""
    jars = locked(bundle)
    with ThreadPoolExecutor(DOWNLOAD_THREADS) as pool:
        intact = pool.map(lambda jar: jar.intact_in(folder), jars)
        return [jar for jar, is_intact in zip(jars, intact, strict=True) if not is_intact]


async def fetch_all(bundle: str, cache: JarCache, on_missing: MissingReport) -> list[Path]:
    """``fetch`` beside the event loop; cancelled, it gives up after the downloads in flight."""
    abandoned = threading.Event()
    try:
        return await asyncio.to_thread(fetch, bundle, cache, on_missing, abandoned)
    except asyncio.CancelledError:
        abandoned.set()
        raise


def fetch(bundle: str, cache: JarCache, on_missing: MissingReport, abandoned: threading.Event) -> list[Path]:
    """Paths of all jars of ``bundle``, downloading what is absent or damaged. Blocks."""
    folder = cache.folder
    if missing(bundle, folder):
        with _writer_lock(bundle, folder):
            _download(missing(bundle, folder), cache, on_missing, abandoned)
            # Once more: a connection cut at the wrong moment leaves a file that looks complete.
            _download(missing(bundle, folder), cache, on_missing, abandoned)
            if broken := missing(bundle, folder):
                raise StackError(
                    f"{broken[0].file_name} from the Maven repository is not the file that was locked.",
                    "Something between here and the repository alters downloads; try another network.",
                )
    return [jar.path_in(folder) for jar in locked(bundle)]


@contextmanager
def _writer_lock(bundle: str, folder: Path) -> Iterator[None]:
    """Two stacks that start at once share the cache: one downloads, the other finds it done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f".{bundle}.lock").open("w")
    except OSError as error:
        raise StackError(
            f"The jar cache {folder} cannot be written: {error.strerror}.",
            "Set HEADRACE_CACHE to a folder that can.",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(jars: list[Jar], cache: JarCache, on_missing: MissingReport, abandoned: threading.Event) -> None:
    if not jars:
        return
    wheel_folder("jgo")
    from jgo.maven import MavenContext  # noqa: PLC0415  an optional package, slow to import, rarely needed

    folder = cache.folder
    remote = {"mirror": cache.repository} if cache.repository else None
    context = MavenContext(repo_cache=folder, remote_repos=remote, timeout=DOWNLOAD_TIMEOUT_S)
    left = {jar: jar.size_bytes for jar in jars}

    def fetch_one(jar: Jar) -> None:
        if abandoned.is_set():
            return
        jar.path_in(folder).unlink(missing_ok=True)
        context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
        left.pop(jar)
        if not abandoned.is_set():
            on_missing(len(left), sum(left.values()))

    on_missing(len(left), sum(left.values()))
    try:
        with ThreadPoolExecutor(DOWNLOAD_THREADS) as pool:
            for _ in pool.map(fetch_one, jars):
                pass
    # requests' errors are OSErrors; jgo says RuntimeError when the repository has no such file.
    except (OSError, RuntimeError) as error:
        raise _download_failed(folder, left, error) from error


def repository_address(cache: JarCache) -> tuple[str, int]:
    """Host and port that jars come from."""
    wheel_folder("jgo")
    from jgo.maven import MavenContext  # noqa: PLC0415  an optional package

    url = urlsplit(cache.repository or next(iter(MavenContext().remote_repos.values())))
    return str(url.hostname), url.port or (80 if url.scheme == "http" else 443)


def _download_failed(folder: Path, left: Mapping[Jar, int], error: Exception) -> StackError:
    size = f"{len(left)} jars ({sum(left.values()) / MB:.0f} MB)"
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        return StackError(
            f"{size} of Kafka and Elasticsearch could not be stored in {folder}: {error.strerror}.",
            "Make room, or set HEADRACE_CACHE to a folder that has some.",
        )
    return StackError(
        f"{size} of Kafka and Elasticsearch could not be downloaded: {type(error).__name__}.",
        "The first start needs the network (Maven Central, or $HEADRACE_MAVEN_REPOSITORY). "
        "What has arrived is kept: run it again.",
    )


def progress_of(report: Callable[[str, str, str], None], server: str) -> MissingReport:
    """Words for a person who waits for a download, at most one a second."""
    told_at = -REPORT_EVERY_S

    def missing_report(count: int, size_bytes: int) -> None:
        nonlocal told_at
        now = time.monotonic()
        if count and now - told_at >= REPORT_EVERY_S:
            told_at = now
            report(server, "fetching", f"{count} jars, {size_bytes / MB:.0f} MB to go")

    return missing_report
