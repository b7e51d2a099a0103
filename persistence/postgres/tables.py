"""The schema, as SQLAlchemy metadata: what Alembic compares and cold queries read.

Rules, each measured: keys to jobs and attempts are UUIDv7 made by the client; no index on a column that
changes (updates stay HOT); inputs and outputs in tables of their own, bytes uncompressed (EXTERNAL); no
foreign keys onto jobs. States are small integers named in ``persistence.postgres.states``.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()
_TIME = DateTime(timezone=True)
_NOW = text("now()")

installation = Table(
    "installation",
    metadata,
    Column("only_row", SmallInteger, primary_key=True, server_default="1"),
    Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("shards", SmallInteger, nullable=False, server_default="1"),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    CheckConstraint("only_row = 1", name="installation_is_one"),
)

tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    Column("expires_at", _TIME),
    Column("revoked_at", _TIME),
    PrimaryKeyConstraint("tenant_id", "key_id", name="api_keys_pkey"),
    UniqueConstraint("key_hash", name="api_keys_hash"),
)

# tenant_id '*': shipped with the product or put in a folder by the operator, the same for every tenant.
recipes = Table(
    "recipes",
    metadata,
    Column("tenant_id", Text, nullable=False, server_default="*"),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("bundle", JSONB, nullable=False),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("tenant_id", "name", "version", name="recipes_pkey"),
    Index("recipes_by_hash", "content_hash"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("batch_id", Uuid),
    Column("recipe", Text, nullable=False),
    Column("recipe_hash", Text, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False, server_default="0"),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("event_seq", Integer, nullable=False, server_default="0"),
    Column("deadline", _TIME),
    Column("budget_nanos", BigInteger),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("retry_of", Uuid),
    Column("traceparent", Text),
    Column("hold_reason", Text),
    Column("paused", Boolean, nullable=False, server_default="false"),
    Column("failure_code", Text),
    Column("failure_detail", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("cost_nanos", BigInteger, nullable=False, server_default="0"),
    Column("input_tokens", BigInteger, nullable=False, server_default="0"),
    Column("output_tokens", BigInteger, nullable=False, server_default="0"),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    Column("finished_at", _TIME),
    Index("jobs_by_tenant", "tenant_id", "id"),
    Index("jobs_by_batch", "batch_id", "id", postgresql_where=text("batch_id IS NOT NULL")),
    postgresql_with={"fillfactor": "70"},
)

batches = Table(
    "batches",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body_hash", LargeBinary, nullable=False),
    Column("target_id", Uuid, nullable=False),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("tenant_id", "key", name="idempotency_pkey"),
    Index("idempotency_by_age", "created_at"),
)

job_inputs = Table(
    "job_inputs",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

job_outputs = Table(
    "job_outputs",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("lineage", LargeBinary, nullable=False),
)

steps = Table(
    "steps",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("step", Text, nullable=False),
    Column("item", Integer, nullable=False, server_default="0"),
    Column("state", SmallInteger, nullable=False, server_default="0"),
    Column("accepted_attempt", Integer),
    PrimaryKeyConstraint("job_id", "step", "item", name="steps_pkey"),
    postgresql_with={"fillfactor": "80"},
)

# The ledger: every provider call, reserved before it is made.
attempts = Table(
    "attempts",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("step", Text, nullable=False),
    Column("item", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("state", SmallInteger, nullable=False, server_default="0"),
    Column("worker", Uuid, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("price_version", Text, nullable=False),
    Column("prompt_hash", Text, nullable=False),
    Column("reserved_nanos", BigInteger, nullable=False),
    Column("budget_ids", ARRAY(BigInteger), nullable=False, server_default="{}"),
    Column("cost_nanos", BigInteger),
    Column("model_served", Text),
    Column("request_id", Text),
    Column("finish_reason", Text),
    Column("error_code", Text),
    Column("input_tokens", Integer, nullable=False, server_default="0"),
    Column("cached_tokens", Integer, nullable=False, server_default="0"),
    Column("output_tokens", Integer, nullable=False, server_default="0"),
    Column("latency_ms", Integer),
    Column("raw", LargeBinary),
    Column("final", Boolean, nullable=False, server_default="false"),
    Column("verdict", SmallInteger),
    Column("violations", JSONB),
    Column("extraction", JSONB),
    Column("started_at", _TIME, nullable=False, server_default=text("clock_timestamp()")),
    Column("ended_at", _TIME),
    PrimaryKeyConstraint("job_id", "step", "item", "attempt", name="attempts_pkey"),
    # Finds what dead workers left behind. Block ranges cost an insert nothing, and updates stay HOT.
    Index("attempts_by_start", "started_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    postgresql_with={"fillfactor": "70"},
)

# One row a model_layer incarnation, renewed each second in Postgres time.
workers = Table(
    "workers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("lease_until", _TIME, nullable=False),
)

# ``window_start``: the window that ``settled_nanos`` stands in; an older one means that nothing is settled yet.
budgets = Table(
    "budgets",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("scope_key", Text, nullable=False, server_default=""),
    Column("time_window", Text, nullable=False, server_default="total"),
    Column("limit_nanos", BigInteger, nullable=False),
    Column("settled_nanos", BigInteger, nullable=False, server_default="0"),
    Column("reserved_nanos", BigInteger, nullable=False, server_default="0"),
    Column("window_start", _TIME, nullable=False, server_default=text("'-infinity'")),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    UniqueConstraint("tenant_id", "scope", "scope_key", "time_window", name="budgets_scope"),
    CheckConstraint("scope in ('tenant', 'recipe', 'batch', 'job')", name="budgets_scope_known"),
    CheckConstraint("time_window in ('total', 'day', 'month')", name="budgets_window_known"),
    CheckConstraint("reserved_nanos >= 0", name="budgets_reserved_not_negative"),
    postgresql_with={"fillfactor": "50"},
)

outbox_rev = Sequence("outbox_rev", metadata=metadata)

# The queue. ``lane``: 0..2 steps by lane, 3 other interior messages, 4 public records.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("rev", BigInteger, outbox_rev, nullable=False, server_default=outbox_rev.next_value()),
    Column("shard", SmallInteger, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("deadline", _TIME, nullable=False, server_default=text("'infinity'")),
    Column("not_before", _TIME),
    Column("topic", SmallInteger, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("headers", LargeBinary),
    Column("traceparent", Text),
    Column("reason", Text),
    Index(
        "outbox_ready", "shard", "lane", "tenant_id", "deadline", "id",
        postgresql_where=text("not_before IS NULL AND lane < 4"),
    ),
    Index("outbox_public", "shard", "rev", postgresql_where=text("not_before IS NULL AND lane = 4")),
    Index("outbox_later", "shard", "not_before", postgresql_where=text("not_before IS NOT NULL")),
    postgresql_with={
        "autovacuum_vacuum_scale_factor": "0",
        "autovacuum_vacuum_threshold": "20000",
        "autovacuum_vacuum_cost_delay": "0",
        "autovacuum_vacuum_insert_scale_factor": "0",
        "autovacuum_vacuum_insert_threshold": "100000",
    },
)  # fmt: skip

# ``fingerprint``: of place and content, so that a redelivery is counted and not kept again.
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("stage", Text, nullable=False),
    Column("job_id", Uuid),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", JSONB, nullable=False, server_default="[]"),
    Column("reason", Text, nullable=False),
    Column("exception", Text, nullable=False),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("edited", LargeBinary),
    Column("replayed_at", _TIME),
    Column("discarded_at", _TIME),
    UniqueConstraint("fingerprint", name="dead_letters_fingerprint"),
    Index(
        "dead_letters_open", "stage", "id",
        postgresql_where=text("replayed_at IS NULL AND discarded_at IS NULL"),
    ),
)  # fmt: skip

# Messages too large to travel: a reference to them does. Erased after their job's end.
payloads = Table(
    "payloads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", _TIME, nullable=False, server_default=_NOW),
    Index("payloads_by_job", "job_id"),
)

# The error log, one row a (job, stage, kind); the nil job: infrastructure, no job's fault.
errors = Table(
    "errors",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("stage", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("count", BigInteger, nullable=False, server_default="1"),
    Column("first_at", _TIME, nullable=False, server_default=_NOW),
    Column("last_at", _TIME, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("job_id", "stage", "kind", name="errors_pkey"),
    Index("errors_by_age", "last_at"),
)

leadership = Table(
    "leadership",
    metadata,
    Column("shard", SmallInteger, primary_key=True),
    Column("owner", Uuid, nullable=False),
    Column("epoch", BigInteger, nullable=False, server_default="1"),
    Column("expires_at", _TIME, nullable=False),
)
