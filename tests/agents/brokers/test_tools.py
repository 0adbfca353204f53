"""What is asked of Java, Maven and Docker, with stand-ins for the three programs on the path."""

import os
from pathlib import Path

import pytest

from agents.brokers import ApacheKafka, DockerKafka
from agents.brokers.docker import IMAGE, run_command
from agents.brokers.jars import cache_directory, kafka_jars, missing_tools
from schemas.errors import BrokerUnreachable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")

JAVA_17 = """echo 'openjdk version "17.0.15" 2025-04-15' >&2"""
JAVA_11 = """echo 'openjdk version "11.0.27" 2025-04-15' >&2"""
MAVEN_THAT_FETCHES = """
for word in "$@"; do case "$word" in -DoutputDirectory=*) target="${word#*=}";; esac; done
/bin/mkdir -p "$target" && echo jar > "$target/kafka.jar" """


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole path, and a cache of one's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def install(folder: Path, name: str, script: str) -> None:
    """Put a shell script on the path."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_without_java_kafka_cannot_run(programs: Path) -> None:
    """The reason names what is missing, and which version is needed."""
    assert "no Java (version 17 or newer is needed)" == ApacheKafka().obstacle()


def test_an_old_java_is_named(programs: Path) -> None:
    """Kafka 4 does not run on Java 11."""
    install(programs, "java", JAVA_11)
    assert "Java 11 is too old (version 17 or newer is needed)" == ApacheKafka().obstacle()


def test_a_java_that_does_not_run_is_none(programs: Path) -> None:
    """macOS has a java on the path that only says where to get one."""
    install(programs, "java", "exit 1")
    assert "no Java (version 17 or newer is needed)" == ApacheKafka().obstacle()


def test_the_java_of_java_home_comes_first(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JAVA_HOME names the Java to use, whatever the path has."""
    install(programs, "java", JAVA_11)
    install(programs, "mvn", MAVEN_THAT_FETCHES)
    home = tmp_path / "jdk" / "bin"
    home.mkdir(parents=True)
    install(home, "java", JAVA_17)
    monkeypatch.setenv("JAVA_HOME", str(home.parent))
    assert ApacheKafka().obstacle() is None


def test_maven_is_needed_only_to_fetch(programs: Path) -> None:
    """Once the jars are in the cache nobody asks for Maven."""
    install(programs, "java", JAVA_17)
    assert "no Maven (mvn) to fetch Apache Kafka with" == missing_tools("4.1.0")
    install(programs, "mvn", MAVEN_THAT_FETCHES)
    assert missing_tools("4.1.0") is None
    kafka_jars("4.1.0")
    (programs / "mvn").unlink()
    assert missing_tools("4.1.0") is None


def test_jars_are_fetched_once_into_the_cache(programs: Path, tmp_path: Path) -> None:
    """The second call finds what the first has fetched, and nothing half fetched lies about."""
    install(programs, "mvn", MAVEN_THAT_FETCHES)
    libraries = kafka_jars("4.1.0")
    install(programs, "mvn", "exit 1")
    assert libraries == kafka_jars("4.1.0")
    assert ["kafka.jar"] == [jar.name for jar in libraries.iterdir()]
    assert ["libs", "pom.xml"] == sorted(entry.name for entry in libraries.parent.iterdir())


def test_what_maven_said_is_told(programs: Path) -> None:
    """A failed fetch leaves no jars behind and quotes Maven."""
    install(programs, "mvn", "echo '[ERROR] no such host'; exit 1")
    with pytest.raises(BrokerUnreachable, match="no such host"):
        kafka_jars("4.1.0")
    assert not (cache_directory() / "kafka-4.1.0" / "libs").exists()


def test_a_relative_cache_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG specification says."""
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert Path.home() / ".cache" / "winback" == cache_directory()


def test_docker_needs_a_client_and_an_engine(programs: Path) -> None:
    """The two are told apart, since the cures differ."""
    assert "no Docker" == DockerKafka().obstacle()
    install(programs, "docker", "exit 1")
    assert "Docker's engine is not running" == DockerKafka().obstacle()
    install(programs, "docker", "exit 0")
    assert DockerKafka().obstacle() is None


def test_the_container_is_reached_from_loopback_alone(programs: Path) -> None:
    """The published port is bound to 127.0.0.1, and clients are sent back to it."""
    command = run_command("winback-1", 19092)
    assert "127.0.0.1:19092:19092" == command[command.index("--publish") + 1]
    assert "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:19092" in command
    assert IMAGE == command[-1]


def test_a_container_is_removed_though_it_never_answered(programs: Path, tmp_path: Path) -> None:
    """Ending the docker command does not end the container: it is removed by its name."""
    install(programs, "docker", f'echo "$@" >> {tmp_path}/asked')
    with pytest.raises(BrokerUnreachable), DockerKafka(start_seconds=20).running():
        pass
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    started, removed = (line.split() for line in asked)
    assert ["rm", "--force", started[started.index("--name") + 1]] == removed
