"""The child process that hosts one Elasticsearch node in a JVM; its current folder is the node's home.

Uses internal classes of exactly 8.14.3 (the version locked in jars.lock). SIGTERM closes the node cleanly.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import jpype

from headrace.local.kafka import SMALL_JVM
from headrace.local.wheels import java_home

HEAP_MB = 256


def main(http_port: str, transport_port: str) -> None:
    home = Path.cwd()
    jpype.startJVM(
        str(java_home() / "lib" / "server" / "libjvm.so"),
        f"-Xmx{HEAP_MB}m",
        *SMALL_JVM,
        # Without it the JVM takes SIGTERM for itself and ends without closing the node.
        "-Xrs",
        "-Djava.io.tmpdir=tmp",
        "-Des.path.home=.",
        "-Des.path.conf=config",
        "-Dlog4j2.disable.jmx=true",
        "-Dlog4j2.formatMsgNoLookups=true",
        "--module-path=lib",
        "--add-modules=ALL-MODULE-PATH",
        convertStrings=False,
    )
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    node = _start_node(home, http_port, transport_port)
    stopping.wait()
    node.close()
    # The JVM's own shutdown waits for threads that Elasticsearch leaves behind.
    os._exit(0)


def _start_node(home: Path, http_port: str, transport_port: str) -> "jpype.JObject":
    settings = {
        "cluster.name": "headrace",
        "node.name": "headrace",
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": http_port,
        "transport.port": transport_port,
        "path.home": str(home),
        "path.data": str(home / "data"),
        "path.logs": str(home / "logs"),
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        "action.auto_create_index": "false",
    }
    class_named = jpype.JClass
    class_named("org.elasticsearch.common.logging.LogConfigurator").configureESLogging()
    builder = class_named("org.elasticsearch.common.settings.Settings").builder()
    for name, value in settings.items():
        builder.put(name, value)
    environment = class_named("org.elasticsearch.node.InternalSettingsPreparer").prepareEnvironment(
        builder.build(),
        class_named("java.util.HashMap")(),
        home / "config",
        class_named("java.util.function.Supplier") @ (lambda: "headrace"),
    )
    node = class_named("org.elasticsearch.node.Node")(environment)
    node.start()
    return node


if __name__ == "__main__":
    main(*sys.argv[1:3])
