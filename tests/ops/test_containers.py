"""The compose file and the image, as far as they can be read without a Docker engine."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.brokers.docker import IMAGE
from streams.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the compose file, its merges resolved."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = loaded["services"]
    return found


@pytest.fixture(scope="module")
def dockerfile() -> str:
    """The Dockerfile."""
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_nothing_is_reached_from_outside(services: dict[str, Any]) -> None:
    """Each published port is bound to this machine's loopback."""
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ["127.0.0.1:9092:9092", "127.0.0.1:6066:6066"] == ports


def test_a_worker_starts_on_topics_and_topics_on_a_healthy_broker(services: dict[str, Any]) -> None:
    """The order of the start is a chain of conditions."""
    assert {"topics": {"condition": "service_completed_successfully"}} == services["worker"]["depends_on"]
    assert {"kafka": {"condition": "service_healthy"}} == services["topics"]["depends_on"]
    assert "healthcheck" in services["kafka"]


@pytest.mark.parametrize(("name", "command"), [("topics", ["topics", "create"]), ("worker", ["worker"])])
def test_the_commands_are_winbacks(services: dict[str, Any], name: str, command: list[str]) -> None:
    """Both services are the image with a command of `winback`."""
    assert ("winback", command) == (services[name]["image"], services[name]["command"])


@pytest.mark.parametrize("name", ["topics", "worker"])
def test_the_environment_is_made_of_settings(
    services: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every variable is one that Winback reads, and the broker is where the containers find it."""
    for variable, value in services[name]["environment"].items():
        assert variable.removeprefix("WINBACK_").lower() in Settings.model_fields
        monkeypatch.setenv(variable, value)
    host, _, port = Settings().bootstrap.partition(":")
    assert f"INTERNAL://{host}:{port}" in services[host]["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_the_broker_is_the_one_the_tests_know(services: dict[str, Any]) -> None:
    """Compose and the test harness run one version of Kafka."""
    assert IMAGE == services["kafka"]["image"]


def test_the_worker_may_finish_its_transaction(services: dict[str, Any]) -> None:
    """Between SIGTERM and SIGKILL there is more time than a transaction may take."""
    grace = float(services["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings().transaction_timeout_seconds


def test_the_image_does_not_run_as_root(dockerfile: str) -> None:
    """The last user named is the one that runs, and no package comes in without its hash."""
    users = [line.split()[1] for line in dockerfile.splitlines() if line.startswith("USER ")]
    assert ["winback"] == users
    installs = [command for command in dockerfile.split("&&") if "--requirement" in command]
    assert all("--require-hashes" in command for command in installs)
