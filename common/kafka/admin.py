"""Creates the topics of the pipeline table; existing ones stay as they are."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from common.errors import BrokerUnavailable, ConfigurationError
from common.kafka.errors import broker_errors
from common.pipeline import TOPICS, Topic, TopicSpec, topic_name

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
_BROKERS_DEFAULT = -1
_TOPIC_EXISTS = 36
_NOT_CONTROLLER = 41
_REQUEST_TIMEOUT_MS = 10_000


async def create_topics(bootstrap: str, prefix: str, *, shards: int = 1) -> list[str]:
    """Create what is missing, with as many replicas as the brokers give by default, and return its names.

    Raises BrokerUnavailable or ConfigurationError.
    """
    with broker_errors("creating topics"):
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_TIMEOUT_MS)
        try:
            await admin.start()
            wanted = [_new_topic(prefix, spec, shards) for spec in TOPICS.values()]
            answer = await admin.create_topics(wanted, timeout_ms=_REQUEST_TIMEOUT_MS)
        finally:
            await admin.close()
    created = []
    for name, code, *message in answer.topic_errors:
        if code == 0:
            created.append(name)
        elif code == _NOT_CONTROLLER:
            raise BrokerUnavailable("creating topics: the controller is moving")
        elif code != _TOPIC_EXISTS:
            said = message[0] if message and message[0] else f"error {code}"
            raise ConfigurationError(f"Kafka refused to create topic {name}: {said}")
    return created


def _new_topic(prefix: str, spec: TopicSpec, shards: int) -> NewTopic:
    configs = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    if spec.compacted:
        # The newest manifest of a shard is what recovery reads: it never expires.
        configs |= {"cleanup.policy": "compact", "segment.ms": "3600000"}
    else:
        configs |= {"retention.ms": str(spec.retention_ms or -1), "retention.bytes": "-1"}
    topic = NewTopic(
        name=topic_name(prefix, spec.topic),
        num_partitions=shards if spec.topic is Topic.MANIFEST else spec.partitions,
        replication_factor=1,
        topic_configs=configs,
    )
    # The constructor takes -1 for a sign of assignments by hand; brokers know it since Kafka 2.4 (KIP-464).
    topic.replication_factor = _BROKERS_DEFAULT
    return topic
