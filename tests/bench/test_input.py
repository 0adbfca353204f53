"""The input, and what is expected of it."""

import msgspec

from bench.input import START, Expected, Size, purchases
from bench.peers.jobs import advance, milliseconds, pack
from schemas.events import Purchase

_SMALL = Size(events=500, customers=20, days=30)


def test_the_input_is_the_same_each_time() -> None:
    """Seeded: two benchmarks measure the same work; another seed is other work."""
    assert list(purchases(_SMALL)) == list(purchases(_SMALL))
    assert list(purchases(_SMALL)) != list(purchases(_SMALL, seed=2))


def test_purchases_are_of_the_stated_size_and_in_the_order_of_time() -> None:
    """200 to 300 bytes each, from the first day to before the end."""
    values = [value for _, value in purchases(_SMALL)]
    assert all(200 <= len(value) <= 300 for value in values)
    instants = [_decoded(value).occurred_at for value in values]
    assert sorted(instants) == instants
    assert START == instants[0]
    assert instants[-1] < _SMALL.end


def test_the_expected_state_is_that_of_each_customer() -> None:
    """Totals, summaries and alerts are what a fold of their purchases gives, in order."""
    expected = Expected()
    seen = list(expected.watch(purchases(_SMALL)))
    assert list(purchases(_SMALL)) == seen
    assert 500 == expected.events
    assert sum(len(value) for _, value in seen) == expected.value_bytes
    for customer in {key for key, _ in seen}:
        summary, alerts = None, set()
        for purchase in (_decoded(value) for key, value in seen if key == customer):
            at = milliseconds(purchase.occurred_at)
            summary, alert = advance(summary, at, purchase.amount_minor)
            alerts |= {(customer, at)} if alert else set()
        assert summary is not None
        assert summary.spend == expected.totals[customer]
        assert pack(summary) == expected.summaries[customer]
        assert alerts == {found for found in expected.alerts if found[0] == customer}


def _decoded(value: bytes) -> Purchase:
    return msgspec.json.decode(value, type=Purchase)
