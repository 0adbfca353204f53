"""Every setting, read once at the edge from the environment (`WINBACK_*`) and then frozen."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.topics import Topics


class Settings(BaseSettings):
    """What a worker needs to know besides its playbook."""

    model_config = SettingsConfigDict(env_prefix="WINBACK_", frozen=True, extra="forbid")

    bootstrap: str = "127.0.0.1:9092"
    """host:port of one or more brokers, separated by commas."""
    application_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,180}$")] = "winback"
    """Names the consumer group, the changelog and the transactional ids."""
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,60}$")] = ""
    """Before the name of every topic, so that several installations can share a cluster."""
    clock: Literal["wall", "event"] = "wall"
    """wall: live. event: a bounded replay of what the topics hold now, up to `end_instant`."""
    end_instant: datetime | None = None
    """event clock only: where the replay ends; a record dated at or after it is not folded."""
    playbook: Path | None = None
    """playbook.toml; the packaged one without it."""
    model: Path | None = None
    """The model file written by `winback fit`; the packaged prior without it."""

    partitions: Annotated[int, Field(ge=1, le=1000)] = 4
    """How many partitions `winback topics create` gives each topic."""
    replication_factor: Annotated[int, Field(ge=1, le=10)] = 1

    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 6066
    """Of /metrics, /livez and /readyz; 0 takes a free port."""

    processes: Annotated[int, Field(ge=1, le=256)] = 1
    """How many processes `winback worker` shares its partitions among."""
    instance: str | None = None
    """A stable name of this worker (static membership): a restart then disturbs nobody."""
    fetch_max_records: Annotated[int, Field(ge=1)] = 4000
    fetch_max_wait_ms: Annotated[int, Field(ge=1, le=1500)] = 20
    batch_max_records: Annotated[int, Field(ge=1)] = 16_000
    """The most records of one partition that one transaction folds: what catching up commits at a time."""
    linger_ms: Annotated[int, Field(ge=0, le=1000)] = 20
    """wall clock only: how long a transaction that holds no trigger waits for more to do."""
    merge_buffer_bytes: Annotated[int, Field(ge=1)] = 32 * 1024 * 1024
    """What a topic that is ahead may hold in memory, per partition, before it is paused."""
    dead_letter_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """A worker stops where a larger share of a topic's last records was refused; with 1 it never does."""
    dead_letter_window: Annotated[int, Field(ge=1)] = 1000
    """How many records that share is taken of."""
    session_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    rebalance_timeout_seconds: Annotated[float, Field(gt=0)] = 30.0
    transaction_timeout_seconds: Annotated[float, Field(gt=0)] = 15.0

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: Path | None = None
    ssl_certificate_location: Path | None = None
    ssl_key_location: Path | None = None

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def topics(self) -> Topics:
        """What the topics are called here."""
        return Topics(self.application_id, self.topic_prefix)
