"""A customer's changelog value: there and back, its fixed head, and what is wrong with damaged ones."""

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.customer import LONG_AGO, NEVER, RULES, Customer, Firing, Logins, Purchases, Recent, Support
from schemas.earlier import (
    EARLIER,
    CustomerOf1,
    CustomerOf3,
    CustomerOf4,
    FiringOf3,
    LoginRatesOf4,
    LoginsOf3,
    LoginsOf4,
    PurchasesOf1,
    PurchasesOf4,
    RecentOf3,
    RecentOf4,
    SupportOf4,
)
from schemas.entries import NO_ORDER
from schemas.errors import StateError
from schemas.positions import PartitionRecord, SourcePosition
from schemas.record import (
    HEAD_SIZE,
    PARTITION_KEY,
    STUB,
    VERSION,
    Fingerprint,
    Head,
    head,
    pack,
    pack_partition,
    raw_head,
    unpack,
    unpack_partition,
)
from streams.core.playbook import Playbook
from streams.core.rules import ABOUT
from tests.entries import late_orders_of, orders_of
from tests.streams.core.strategies import lives, playbooks
from tests.streams.core.world import Event, seen

STATES = Path(__file__).parent / "state"
FINGERPRINT = Fingerprint(2**32 - 1, 7)
CUSTOMER = Customer(stage=3, wake_spell=50, wake_support=40, wake_logins=60)
POSITION = SourcePosition(2**62, LONG_AGO)


@given(playbooks(), lives())
@settings(max_examples=50)
def test_a_customer_comes_back_as_it_went(playbook: Playbook, events: list[Event]) -> None:
    """To the last bit, whatever its life was."""
    customer = seen(playbook, events).customer
    assert customer is not None
    value = pack(customer, FINGERPRINT)
    assert customer == unpack(value)
    assert value == pack(unpack(value), FINGERPRINT)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_the_head_is_read_without_the_rest(model: int, playbook: int) -> None:
    """The earliest wake-up, both fingerprints and the stage, at their fixed places."""
    value = pack(CUSTOMER, Fingerprint(model, playbook))
    assert Head(VERSION, 40, Fingerprint(model, playbook), 3) == head(value)
    assert (VERSION, 40, model, playbook, 3) == raw_head(value)


def test_the_layout_is_fixed() -> None:
    """Golden bytes: a change here is a new format version, and needs a way to read the old one."""
    expected = bytes.fromhex("050000000000000028ffffffff0000000703")
    assert expected == pack(CUSTOMER, FINGERPRINT)[:HEAD_SIZE]
    assert bytes.fromhex("000164507801") == pack(CUSTOMER, FINGERPRINT)[HEAD_SIZE:]


def test_a_partition_from_before_erasures_is_read() -> None:
    """It has obeyed none, and begins with the first."""
    sources = (POSITION, POSITION, POSITION)
    first = bytes((2,)) + msgspec.msgpack.encode((sources, 17, 40))
    assert PartitionRecord(sources, 17, 40, erasures_next=0) == unpack_partition(first)


@pytest.mark.parametrize(
    ("customer", "stage"),
    [
        (Customer(forgotten_at=0), STUB),
        (Customer(forgotten_at=2**40), STUB),
        (Customer(), 0),
        (Customer(forgotten_at=5, wake_logins=70), 0),
        (Customer(forgotten_at=5, stage=3), 3),
    ],
)
def test_a_stub_is_told_from_a_customer_by_its_head(customer: Customer, stage: int) -> None:
    """Whoever is forgotten counts in no stage; whoever came back counts in theirs."""
    value = pack(customer, FINGERPRINT)
    assert (stage, customer) == (head(value).stage, unpack(value))


def golden(version: int) -> bytes:
    """A record of that version as it was written: one life, with a refund, logins, a ticket, firings."""
    return bytes.fromhex((STATES / f"{version}.hex").read_text())


@pytest.mark.parametrize("version", [*EARLIER, VERSION])
def test_every_version_is_read(version: int) -> None:
    """An upgrade finds the customer that an earlier program left, and writes it as the newest version."""
    customer = unpack(golden(version))
    assert version == golden(version)[0]
    assert unpack(golden(VERSION)) == customer
    assert golden(VERSION) == pack(customer, head(golden(version)).fingerprint)


def test_there_is_a_golden_record_of_every_version() -> None:
    """Whoever changes the layout raises VERSION, and leaves a record and a way to read it behind."""
    assert {f"{version}.hex" for version in (*EARLIER, VERSION)} == {path.name for path in STATES.iterdir()}
    assert VERSION == len(EARLIER) + 1


def test_a_version_1_order_without_its_event_is_no_state_error() -> None:
    """The two records of what was applied were cut at different instants."""
    events = RecentOf3((5, 6), (100, 200), late_hashes=(7, 8))
    orders = RecentOf3((3, 4), (50, 200), late_hashes=(9,))
    purchases = PurchasesOf1(events, orders, 0, 200, 2, 10, 5, (0,), (2,), (10,))
    value = b"\x01" + pack(CUSTOMER, FINGERPRINT)[1:HEAD_SIZE]
    value += msgspec.msgpack.encode(CustomerOf1(purchases=purchases))
    read = unpack(value).purchases
    assert read is not None
    assert [(100, 5, NO_ORDER), (200, 6, 4)] == orders_of(read.events)
    assert [(7, 9), (8, NO_ORDER)] == late_orders_of(read.events)


def test_a_customer_with_nothing_to_come_never_wakes() -> None:
    """Its deadline is NEVER."""
    assert NEVER == head(pack(Customer(), FINGERPRINT)).wake_at


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x01",
        bytes([VERSION + 1]) + pack(CUSTOMER, FINGERPRINT)[1:],
        pack(CUSTOMER, FINGERPRINT)[:HEAD_SIZE],
        pack(CUSTOMER, FINGERPRINT)[:-1],
        pack(CUSTOMER, FINGERPRINT)[:HEAD_SIZE] + b"\x02\x01\x01\x01\x01\x01\x7e",
        pack(CUSTOMER, FINGERPRINT) + b"\x00",
    ],
    ids=[
        "empty",
        "version alone",
        "other version",
        "head alone",
        "cut",
        "more entries than there are",
        "too long",
    ],
)
def test_a_damaged_record_is_a_state_error(damaged: bytes) -> None:
    """Never a foreign exception, and never a customer."""
    with pytest.raises(StateError):
        unpack(damaged)


@pytest.mark.parametrize(
    "damaged", [b"", b"\x01", bytes([VERSION + 1]) * 40, pack(CUSTOMER, FINGERPRINT)[:HEAD_SIZE]]
)
def test_a_damaged_head_is_a_state_error(damaged: bytes) -> None:
    """A head without a body too."""
    with pytest.raises(StateError):
        head(damaged)


@given(st.binary(max_size=60))
def test_no_noise_is_anything_but_a_state_error(noise: bytes) -> None:
    """Whatever stands in the changelog."""
    for value in (noise, bytes([VERSION]) + noise):
        for read in (unpack, unpack_partition):
            with suppress(StateError):
                read(value)


@pytest.mark.parametrize("end", [None, 0, 2**62])
def test_a_partition_comes_back_as_it_went(end: int | None) -> None:
    """With and without the ends of a bounded replay."""
    record = PartitionRecord((POSITION, POSITION, SourcePosition(0, 5, end)), 17, None, 3, end)
    assert record == unpack_partition(pack_partition(record))


@pytest.mark.parametrize("damaged", [b"", b"\x02", b"\x01", b"\x01\x92\x90\x00"])
def test_a_damaged_partition_is_a_state_error(damaged: bytes) -> None:
    """Also one with fewer than three sources."""
    with pytest.raises(StateError):
        unpack_partition(damaged)


def test_no_customer_has_the_partitions_key() -> None:
    """It begins with a NUL."""
    assert PARTITION_KEY.startswith(b"\x00")


def test_a_firing_of_a_rule_that_nobody_knows_is_a_state_error() -> None:
    """A number beyond RULES, as a newer program might write it; a name that never was, in version 3."""
    firing = Firing(len(RULES), 1, 0, 0, 0, 0, 0, 0)
    with pytest.raises(StateError):
        unpack(pack(Customer(firings=(firing,)), FINGERPRINT))
    older = CustomerOf3(firings=(FiringOf3("no_rule", 1, 0, 0, 0, 0, 0, 0),))
    with pytest.raises(StateError):
        unpack(b"\x03" + pack(CUSTOMER, FINGERPRINT)[1:HEAD_SIZE] + msgspec.msgpack.encode(older))


def test_every_rule_has_its_number_for_ever() -> None:
    """A firing that went out says its rule by it."""
    assert set(RULES) == set(ABOUT)
    expected = ("risk_medium", "risk_high", "second_order_due", "silent_for", "winback_1", "winback_2")
    assert (*expected, "winback_3", "sla_breach", "ticket_spike", "login_decay") == RULES


def test_a_number_that_no_entry_can_hold_is_a_state_error() -> None:
    """In an earlier version any integer passed for an instant or a hash."""
    for events in (RecentOf3((-5,), (100,)), RecentOf3((5,), (-100,)), RecentOf3((5,), (2**48,))):
        older = CustomerOf3(logins=LoginsOf3(events, LoginRatesOf4(), LoginRatesOf4()))
        body = msgspec.msgpack.encode(older)
        with pytest.raises(StateError):
            unpack(b"\x03" + pack(CUSTOMER, FINGERPRINT)[1:HEAD_SIZE] + body)


@pytest.mark.parametrize(
    "recent", [RecentOf4(entries=bytes(13)), RecentOf4(late=bytes(7))], ids=["entries", "late"]
)
def test_half_an_entry_is_a_state_error(recent: RecentOf4) -> None:
    """It is found when the record is read, not when its customer next buys something."""
    for older in (
        CustomerOf4(logins=LoginsOf4(recent)),
        CustomerOf4(purchases=PurchasesOf4(recent)),
        CustomerOf4(support=SupportOf4(recent)),
    ):
        with pytest.raises(StateError):
            unpack(b"\x04" + pack(CUSTOMER, FINGERPRINT)[1:HEAD_SIZE] + msgspec.msgpack.encode(older))
    events = Recent(recent.entries, late=recent.late)
    for customer in (
        Customer(logins=Logins(events)),
        Customer(purchases=Purchases(events)),
        Customer(support=Support(events)),
    ):
        with pytest.raises(StateError):
            unpack(pack(customer, FINGERPRINT))
