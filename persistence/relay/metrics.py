"""Everything the relay counts: the closed catalogue of its metrics. Labels are shards, lanes, paths."""

from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class RelayMetrics:
    """One instance a process, over the registry the composition root made."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.released = Counter(
            "headrace_relay_released_rows",
            "Rows of lanes 0 to 3 acknowledged by Kafka and deleted.",
            ("lane",),
            registry=registry,
        )
        self.published = Counter("headrace_relay_published_rows", "Public rows committed to Kafka.", registry=registry)
        self.transactions = Counter("headrace_relay_transactions", "Kafka transactions committed.", registry=registry)
        self.transaction_seconds = Histogram(
            "headrace_relay_transaction_seconds",
            "Time of one public batch, from the first send to the deleted rows.",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self.recoveries = Counter(
            "headrace_relay_recoveries",
            "Sessions of a path that ended by an error and were started anew.",
            ("path",),
            registry=registry,
        )
        self.closed = Counter(
            "headrace_relay_closed_transactions",
            "Transactions found hanging or unsettled at recovery, by how they were closed.",
            ("outcome",),
            registry=registry,
        )
        self.promoted = Counter("headrace_relay_promoted_rows", "Parked rows whose time had come.", registry=registry)
        self.set_aside = Counter(
            "headrace_relay_set_aside_rows", "Rows Kafka refused, now dead letters.", registry=registry
        )
        self.trimmed = Counter(
            "headrace_relay_trimmed_partitions",
            "Partitions whose consumed records were deleted.",
            registry=registry,
        )
        self.leader = Gauge("headrace_relay_leader", "1 for each shard led here.", ("shard",), registry=registry)
        self.unfinished = Gauge(
            "headrace_relay_unfinished_steps",
            "Unfinished steps in Kafka when last measured, by lane; all: behind the model layer, where lanes are one.",
            ("lane",),
            registry=registry,
        )
        self.outbox_age = Gauge(
            "headrace_relay_outbox_age_seconds",
            "Age of the job whose row the relay read last, by the time in its id; 0 when nothing waits.",
            ("path",),
            registry=registry,
        )

    def note_age(self, path: str, job_id: UUID | None, now_s: float) -> None:
        """Note how old the job of the oldest row just read is; None: nothing waits."""
        age_s = 0.0 if job_id is None else max(0.0, now_s - (job_id.int >> 80) / 1000)
        self.outbox_age.labels(path).set(age_s)
