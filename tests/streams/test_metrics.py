"""What the metrics say after what happened."""

import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from schemas.reasons import REASONS
from streams.metrics import Metrics, Tally, new_registry


@pytest.fixture
def registry() -> CollectorRegistry:
    """An empty registry."""
    return CollectorRegistry(auto_describe=True)


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    """The metrics of one worker."""
    return Metrics(registry)


def test_a_batch_is_counted_once_and_whole(registry: CollectorRegistry, metrics: Metrics) -> None:
    """What a tally holds is in the counters after add, and a second batch comes on top."""
    tally = Tally()
    tally.records["purchases", "folded"] += 998
    tally.records["purchases", "dead_letter"] += 2
    tally.dead_letters["purchases", "not_json"] += 2
    tally.triggers["risk_high", "raised"] += 3
    tally.suppressed["ticket_spike", "cool_down"] += 1
    tally.lateness += [0.02, 0.2, 2.0]
    for _ in range(2):
        metrics.add(tally, fold_seconds=0.01, flush_seconds=0.004)

    value = registry.get_sample_value
    assert 2 == value("winback_batches_total")
    assert 1996 == value("winback_records_total", {"topic": "purchases", "outcome": "folded"})
    assert 4 == value("winback_dead_letters_total", {"topic": "purchases", "reason": "not_json"})
    assert 6 == value("winback_triggers_total", {"rule": "risk_high", "kind": "raised"})
    assert 2 == value("winback_suppressed_total", {"rule": "ticket_spike", "reason": "cool_down"})
    assert 4 == value("winback_deadline_lateness_seconds_bucket", {"le": "0.5"})
    assert pytest.approx(0.02) == value("winback_fold_seconds_sum")
    assert pytest.approx(0.008) == value("winback_flush_seconds_sum")


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_starts_at_nought(registry: CollectorRegistry, metrics: Metrics, reason: str) -> None:
    """The first dead letter is an increase that an alert can see."""
    labels = {"topic": "support-tickets", "reason": reason}
    assert 0 == registry.get_sample_value("winback_dead_letters_total", labels)


def test_a_revoked_partition_is_forgotten(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Its gauges vanish, since its new owner reports them; the other partition keeps its own."""
    for partition in (3, 30):
        metrics.recovered(partition, records=10, seconds=0.2)
        metrics.set_partition(partition, deadlines=7, customers={"active": 5, "lapsed": 2})
        metrics.set_lag("purchases", partition, records=12, seconds=1.5)
    metrics.revoked(3)

    value = registry.get_sample_value
    assert 1 == value("winback_partitions_owned")
    assert 20 == value("winback_recovery_records_total")
    assert 7 == value("winback_deadlines_pending", {"partition": "30"})
    assert 5 == value("winback_customers", {"partition": "30", "stage": "active"})
    assert 1.5 == value("winback_lag_seconds", {"topic": "purchases", "partition": "30"})
    assert 'partition="3"' not in generate_latest(registry).decode()


def test_a_stage_that_empties_goes_back_to_nought(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A stage that is not named has nobody in it."""
    metrics.set_partition(0, deadlines=0, customers={"at_risk": 4})
    metrics.set_partition(0, deadlines=0, customers={"lapsed": 4})
    assert 0 == registry.get_sample_value("winback_customers", {"partition": "0", "stage": "at_risk"})


def test_a_partition_recovered_twice_is_owned_once(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A rebalance that leaves a partition where it was changes no count of partitions."""
    for _ in range(2):
        metrics.recovered(1, records=0, seconds=0.0)
    assert 1 == registry.get_sample_value("winback_partitions_owned")


def test_every_name_follows_the_conventions(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Each metric is ours by its prefix, has a help text, and no unit but the base units."""
    for family in registry.collect():
        assert re.fullmatch(r"winback_[a-z_]+", family.name)
        assert family.documentation
        assert not re.search(r"_(ms|millis|minutes|kb|percent)\b", family.name)
        assert family.type != "histogram" or family.name.endswith("_seconds")


def test_two_workers_can_live_in_one_process() -> None:
    """Nothing is registered globally: each registry has its own figures."""
    one, other = new_registry(), new_registry()
    Metrics(one).recovered(0, records=1, seconds=0.1)
    Metrics(other)
    assert 1 == one.get_sample_value("winback_partitions_owned")
    assert 0 == other.get_sample_value("winback_partitions_owned")
