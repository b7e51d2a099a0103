"""Settings: one frozen model a process, read once in the composition root, passed down by constructor."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.errors import ConfigurationError


class Settings(BaseSettings):
    """Every setting of every process, as ``HEADRACE_<NAME>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="HEADRACE_", frozen=True, extra="ignore")

    database_url: SecretStr = Field(description="postgresql://user:password@host:port/database")
    kafka_bootstrap: str = Field(default="127.0.0.1:9092", description="host:port, comma separated")
    redis_url: SecretStr | None = Field(default=None, description="redis://:password@host:port/0; optional")
    elasticsearch_url: SecretStr | None = Field(default=None, description="http://host:port; optional")
    models_file: Path | None = Field(default=None, description="models.toml: deployments and prices")
    recipes_path: str = Field(default="", description="more folders of recipes, separated by ':'")
    installation: str = Field(
        default="headrace", pattern=r"^[a-z][a-z0-9.-]{0,40}$", description="prefix of topics, groups and ids"
    )
    host: str = Field(default="127.0.0.1", description="address the HTTP endpoints listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="ingestion's port")
    health_port: int | None = Field(default=None, ge=0, le=65535, description="health port of the other stages")
    metrics_public: bool = Field(default=False, description="serve /metrics to callers beyond this machine")
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")

    pool_size: int = Field(default=8, ge=2, le=100, description="Postgres connections of one process")
    input_limit_bytes: int = Field(default=16 * 1024 * 1024, ge=1024, le=16 * 1024 * 1024)
    request_limit_bytes: int = Field(default=64 * 1024 * 1024, ge=4096, le=256 * 1024 * 1024)
    batch_limit_jobs: int = Field(default=10_000, ge=1, le=100_000)
    idempotency_keep_hours: int = Field(
        default=24, ge=24, le=24 * 366, description="how long Idempotency-Keys are known at least"
    )
    relay_shards: int = Field(default=1, ge=1, le=64, description="fixed when the installation is first migrated")
    runway: int = Field(default=5_000, ge=1, le=1_000_000, description="unfinished steps a lane kept in Kafka")
    model_window: int = Field(default=2_000, ge=1, le=100_000, description="deliveries in flight in one model_layer")
    reject_limit: int = Field(default=200, ge=1, description="dead letters a minute that pause a stage")
    lost_after_s: float = Field(default=20.0, ge=1.0, le=3600.0, description="a job so long quiet may be lost")
    lease_s: float = Field(default=10.0, ge=1.0, le=300.0, description="lease of a model_layer worker")
    failpoints: Path | None = Field(default=None, description="folder of orders for crash points; tests only")
    drain_s: float = Field(default=10.0, ge=0.0, le=600.0, description="how long a stop waits for work in flight")


def load_settings() -> Settings:
    """Read the environment. Raises ConfigurationError that names each variable at fault."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"HEADRACE_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError("settings are not usable: " + "; ".join(faults)) from None
