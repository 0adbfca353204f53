"""Apache Kafka's jars, fetched by Maven once and kept outside the checkout."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from schemas.errors import BrokerUnreachable

JAVA_NEEDED: Final = 17
_FETCH_SECONDS: Final = 600.0

_POM: Final = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>winback</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{version}</version>
    </dependency>
  </dependencies>
</project>
"""


def cache_directory() -> Path:
    """Where Winback keeps what it has fetched: $XDG_CACHE_HOME/winback, or ~/.cache/winback."""
    # The XDG specification ignores a path that is not absolute.
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (configured if configured.is_absolute() else Path.home() / ".cache") / "winback"


def java() -> str:
    """The java to run: that of JAVA_HOME, or else the first on the path."""
    home = os.environ.get("JAVA_HOME")
    if home and (found := shutil.which("java", path=str(Path(home) / "bin"))):
        return found
    return shutil.which("java") or "java"


def java_version() -> int | None:
    """The major version of that java; None where there is none that runs."""
    try:
        done = subprocess.run([java(), "-version"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else None


def missing_tools(version: str) -> str | None:
    """What this machine lacks to run that version of Kafka, in a few words; None if nothing."""
    found = java_version()
    if found is None:
        return f"no Java (version {JAVA_NEEDED} or newer is needed)"
    if found < JAVA_NEEDED:
        return f"Java {found} is too old (version {JAVA_NEEDED} or newer is needed)"
    if not _jars_directory(version).is_dir() and shutil.which("mvn") is None:
        return "no Maven (mvn) to fetch Apache Kafka with"
    return None


def kafka_jars(version: str) -> Path:
    """The directory with that version's jars, fetched if this is the first time.

    Raises BrokerUnreachable with what Maven said where it cannot fetch them.
    """
    libraries = _jars_directory(version)
    if libraries.is_dir():
        return libraries
    home = libraries.parent
    home.mkdir(parents=True, exist_ok=True)
    pom = home / "pom.xml"
    pom.write_text(_POM.format(version=version), encoding="utf-8")
    # Fetched beside its place and renamed into it: whoever finds the directory finds it complete, and
    # of two that fetch at once one comes second and takes what the first has put there.
    with TemporaryDirectory(dir=home, prefix="fetch-") as scratch:
        fetched = Path(scratch) / "libs"
        _fetch(pom, fetched, version)
        try:
            fetched.rename(libraries)
        except OSError:
            if not libraries.is_dir():
                raise
    return libraries


def _jars_directory(version: str) -> Path:
    return cache_directory() / f"kafka-{version}" / "libs"


def _fetch(pom: Path, into: Path, version: str) -> None:
    goal = ("dependency:copy-dependencies", f"-DoutputDirectory={into}")
    try:
        done = subprocess.run(
            [
                shutil.which("mvn") or "mvn",
                "--quiet",
                "--batch-mode",
                "--strict-checksums",
                "--file",
                str(pom),
                *goal,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=_FETCH_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerUnreachable(f"Maven could not fetch Apache Kafka {version}: {error}") from error
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[:10])
        raise BrokerUnreachable(f"Maven could not fetch Apache Kafka {version}:\n{said}")
