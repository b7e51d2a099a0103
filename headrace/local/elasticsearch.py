"""Elasticsearch 8.14's bare server (no bundled modules but HTTP), hosted in a Python child through jpype.

The server is under the Elastic License 2.0 / SSPL: nothing of it is shipped, the user's machine fetches it.
``GET /`` does not exist on it, nor do ``_reindex``, delete by query and security; loopback only.
"""

import sys

from headrace.local import jars
from headrace.local.ports import LOOPBACK
from headrace.local.process import Command, server_environment
from headrace.local.server import Server, get_json_status, link_jars
from headrace.local.wheels import java_home, wheel_folder

VERSION = "8.14.3"
HOST_MODULE = "headrace.local.elasticsearch_host"
HEALTH = "/_cluster/health?wait_for_status=yellow&timeout=1s"

NETTY_DESCRIPTOR = f"""\
name=transport-netty4
description=HTTP and transport
version={VERSION}
elasticsearch.version={VERSION}
java.version=17
classname=org.elasticsearch.transport.netty4.Netty4Plugin
extended.plugins=
has.native.controller=false
"""

LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


class Elasticsearch(Server):
    name = "elasticsearch"

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def prepare(self) -> Command:
        wheel_folder("jpype")
        folder = self.site.folder(self.name)
        for name in ("data", "logs", "tmp", "config"):
            (folder / name).mkdir(exist_ok=True)
        progress = jars.progress_of(self.site.report, self.name)
        core = await jars.fetch_all(self.name, self.site.jar_cache, progress)
        netty = await jars.fetch_all(f"{self.name}-netty", self.site.jar_cache, progress)
        link_jars(folder / "lib", core)
        module = folder / "modules" / "transport-netty4"
        module.parent.mkdir(exist_ok=True)
        link_jars(module, netty)
        (module / "plugin-descriptor.properties").write_text(NETTY_DESCRIPTOR)
        (folder / "config" / "log4j2.properties").write_text(LOGGING)
        transport = self.site.ports["elasticsearch-transport"]
        return Command(
            argv=[sys.executable, "-P", "-m", HOST_MODULE, str(self.port), str(transport)],
            cwd=folder,
            log=self.site.log(self.name),
            env=server_environment({"JAVA_HOME": str(java_home())}),
        )

    async def probe(self) -> bool:
        status, body = await get_json_status(self.port, HEALTH)
        return status == 200 and b'"timed_out":false' in body
