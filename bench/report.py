"""What was measured, for machines: one file a job."""

from collections.abc import Callable, Sequence
from statistics import median

from msgspec import Struct


class Run(Struct, frozen=True):
    """One run: seconds, CPU seconds of the engine's process and of the broker's, megabytes."""

    seconds: float
    cpu_seconds: float
    broker_cpu_seconds: float
    peak_megabytes: float


class Result(Struct, frozen=True):
    """An engine at a job. events: how many each run was given. not_run, failed: why, else empty."""

    job: str
    engine: str
    settings: str
    events: int
    runs: Sequence[Run] = ()
    versions: dict[str, str] = {}
    triggers: int = 0
    not_run: str = ""
    failed: str = ""

    def of_runs(self, figure: Callable[[Run], float]) -> list[float]:
        """A figure of each run, ascending."""
        return sorted(figure(run) for run in self.runs)

    @property
    def rates(self) -> list[float]:
        """Events a second of each run, ascending."""
        return self.of_runs(lambda run: self.events / run.seconds)

    @property
    def cpu_per_million(self) -> float:
        """The median of CPU seconds a million events."""
        return median(self.of_runs(lambda run: run.cpu_seconds)) / self.events * 1e6

    @property
    def broker_cpu_per_million(self) -> float:
        """The same, of the broker."""
        return median(self.of_runs(lambda run: run.broker_cpu_seconds)) / self.events * 1e6

    @property
    def peak_megabytes(self) -> float:
        """The median of the peaks."""
        return median(self.of_runs(lambda run: run.peak_megabytes))


class Report(Struct, frozen=True):
    """A whole benchmark. load: what else the machine had to do when it began (1-minute average)."""

    commit: str
    machine: str
    broker: str
    load: float
    events: int
    customers: int
    value_bytes: float
    results: Sequence[Result] = ()

    def of(self, job: str) -> list[Result]:
        """The results of a job, in the order of the table."""
        return [result for result in self.results if result.job == job]

    @property
    def versions(self) -> dict[str, str]:
        """Of everything measured."""
        found: dict[str, str] = {}
        for result in self.results:
            found |= result.versions
        return found
