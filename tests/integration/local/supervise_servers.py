"""A supervisor of servers alone, for tests of supervision: python supervise_servers.py STATE_DIR SERVER…"""

import asyncio
import os
import sys
from pathlib import Path

from headrace.local.supervisor import Supervisor


def report(name: str, phase: str, detail: str) -> None:
    print(name, phase, detail, flush=True)


asyncio.run(Supervisor(Path(sys.argv[1]), sys.argv[2:], os.environ, report, free_ports=True, services=()).run())
