"""Apache Kafka 4.3 (KRaft, one node) on the wheel's Java runtime, with the locked jars. Loopback only.

Topics and their retention are the product's business, not this module's.
"""

from common.kafka.greeting import takes_requests
from headrace.local import jars
from headrace.local.ports import LOOPBACK
from headrace.local.process import Command, server_environment
from headrace.local.server import Server, link_jars
from headrace.local.wheels import java_home

# Small heaps that idle most of the time: the serial collector and the quick compiler start fastest. Debuggers' sockets
# and counters would be left in the system's folder for temporary files by a process that is killed.
SMALL_JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+DisableAttachMechanism",
    "-XX:-UsePerfData",
    "-Dfile.encoding=UTF-8",
)
HEAP_MB = 160
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

LOGGING = """\
status = warn
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


def server_properties(port: int, controller_port: int) -> str:
    """Settings of a one-node cluster. Paths are relative: no character of a folder's name can hurt."""
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": "data",
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # The default of 10 s is how long readers would stand behind a transaction whose producer died.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
        "group.initial.rebalance.delay.ms": 0,
        # After a SIGKILL the old incarnation's session must expire before the broker may register again.
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
        "log.segment.bytes": 64 * 1024 * 1024,
        # The default buffer of 128 MB does not fit the heap.
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


class Kafka(Server):
    name = "kafka"

    @property
    def endpoint(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    async def prepare(self) -> Command:
        folder = self.site.folder(self.name)
        (folder / "tmp").mkdir(exist_ok=True)
        progress = jars.progress_of(self.site.report, self.name)
        paths = await jars.fetch_all(self.name, self.site.jar_cache, progress)
        link_jars(folder / "libs", paths)
        (folder / "log4j2.properties").write_text(LOGGING)
        properties = server_properties(self.port, self.site.ports["kafka-controller"])
        (folder / "server.properties").write_text(properties)
        if not (folder / "data" / "meta.properties").exists():
            cluster = self.site.secrets.kafka_cluster_id
            format_storage = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", "server.properties"]
            await self._run(self._command(*format_storage))
        return self._command("kafka.Kafka", "server.properties")

    def _command(self, *main: str) -> Command:
        return Command(
            argv=[
                str(java_home() / "bin" / "java"),
                # All of the heap at once: it is seen at the start what Kafka takes, not after a quarter of an hour.
                f"-Xms{HEAP_MB}m",
                f"-Xmx{HEAP_MB}m",
                "-XX:+AlwaysPreTouch",
                "-XX:+ExitOnOutOfMemoryError",
                *SMALL_JVM,
                "-Djava.io.tmpdir=tmp",
                "-Dlog4j2.configurationFile=log4j2.properties",
                "-cp",
                "libs/*",
                *main,
            ],
            cwd=self.site.folder(self.name),
            log=self.site.log(self.name),
            env=server_environment(),
        )

    async def probe(self) -> bool:
        """Whether the broker takes requests."""
        return await takes_requests(LOOPBACK, self.port)
