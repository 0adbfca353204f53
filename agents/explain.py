"""`winback explain`: one customer, as the committed state has it and the pure rules read it.

It reads the changelog of the customer's partition, so it needs no running worker and no open port,
and it takes as long as that partition's changelog is long.
"""

import asyncio
from datetime import datetime
from typing import NamedTuple

import msgspec
from aiokafka.structs import TopicPartition
from rich.console import Console
from rich.table import Table

from agents.clients import need_topics, quiet_client_logs, reader
from agents.console import ExitCode, output, print_error, print_line
from agents.sentence import money, reasons
from schemas.customer import Customer, is_stub
from schemas.instants import instant
from schemas.positions import PartitionRecord
from schemas.record import PARTITION_KEY, unpack, unpack_partition
from schemas.topics import CHANGELOG
from schemas.triggers import Score
from streams.clock import wall_ms
from streams.core.explanation import Explanation, RuleStanding, explain
from streams.partitioner import partition_of
from streams.playbook_file import load_playbook
from streams.settings import Settings

_STYLES = {"open": "bold red", "due": "", "waiting": "dim", "off": "dim"}


class Found(NamedTuple):
    """What the changelog says. partition: None before the first batch of that partition."""

    customer: Customer | None
    partition: PartitionRecord | None


def run_explain(settings: Settings, customer_id: str, as_json: bool) -> int:
    """Explain a customer; PROBLEM where nothing is known of them."""
    quiet_client_logs()
    playbook = load_playbook(settings.playbook, settings.model)
    found = asyncio.run(find(settings, customer_id))
    if found.customer is None:
        print_error(f"nothing is known of customer {customer_id} in {settings.application_id}")
        return ExitCode.PROBLEM
    if is_stub(found.customer):
        until = _time(instant(found.customer.forgotten_at))
        print_error(f"{settings.application_id} has forgotten customer {customer_id}, up to {until}")
        return ExitCode.PROBLEM
    record = found.partition
    # A bounded replay stands at its end; a live partition's customers are as old as now.
    now = record.clock if record is not None and record.until is not None else wall_ms()
    explanation = explain(customer_id, found.customer, now=now, playbook=playbook)
    if as_json:
        print_line(msgspec.json.encode(explanation))
    else:
        show(explanation, output())
    return ExitCode.DONE


async def find(settings: Settings, customer_id: str) -> Found:
    """The newest committed state of a customer, and of their partition.

    Raises TopicsError where there is no changelog, BrokerUnreachable, StateError.
    """
    topic = settings.topics.name(CHANGELOG)
    counts = await need_topics(settings, topic)
    key = customer_id.encode()
    tp = TopicPartition(topic, partition_of(key, counts[topic]))
    newest: dict[bytes, bytes | None] = {}
    async with reader(settings) as consumer:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        end = (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < end:
            for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, ()):
                if record.key in {key, PARTITION_KEY}:
                    newest[record.key] = record.value
    value, position = newest.get(key), newest.get(PARTITION_KEY)
    return Found(
        None if value is None else unpack(value),
        None if position is None else unpack_partition(position),
    )


def show(explanation: Explanation, console: Console) -> None:
    """The explanation for people."""
    console.print(f"[bold]{explanation.customer_id}[/] is [bold]{explanation.stage}[/]{_level(explanation)}")
    console.print(f"as of {_time(explanation.as_of)}", style="dim")
    console.print(_facts(explanation))
    if explanation.score is not None:
        _show_score(explanation.score, console)
    console.print(_rules(explanation))


def _level(explanation: Explanation) -> str:
    return f", risk {explanation.level}" if explanation.level else ""


def _facts(explanation: Explanation) -> Table:
    table = Table("", "", show_header=False, box=None)
    if explanation.first_order is not None and explanation.last_order is not None:
        table.add_row("orders", f"on {explanation.orders_on_days} days, {_spend(explanation)}")
        table.add_row("first, last", f"{_time(explanation.first_order)}, {_time(explanation.last_order)}")
        windows = explanation.windows
        for name, window in (("7", windows.days_7), ("30", windows.days_30), ("90", windows.days_90)):
            spend = money(window.spend_minor, explanation.currency)
            table.add_row(f"last {name} days", f"{window.orders} orders, {spend}")
    else:
        table.add_row("orders", "none")
    table.add_row("logins", str(explanation.logins))
    table.add_row("tickets waiting", str(explanation.open_tickets))
    if explanation.value is not None:
        value = explanation.value
        table.add_row(
            "value",
            f"{money(value.annual_minor, value.currency)} a year, of which "
            f"{money(value.at_risk_minor, value.currency)} at risk",
        )
    return table


def _spend(explanation: Explanation) -> str:
    return money(explanation.spend_minor, explanation.currency)


def _show_score(score: Score, console: Console) -> None:
    what = "lapsing" if score.explains == "p_lapse" else "having left for good"
    console.print(f"\nrisk of lapsing [bold]{score.p_lapse:.1%}[/], {reasons(score)}")
    table = Table(f"log-odds of {what}", "", box=None, header_style="dim")
    for driver in score.drivers:
        table.add_row(driver.name, f"{driver.logit:+.3f}")
    table.add_row("sum", f"{score.logit:+.3f}", style="bold")
    console.print(table)


def _rules(explanation: Explanation) -> Table:
    table = Table("rule", "stands", "cleared by", "action", title="rules", title_justify="left")
    for rule in explanation.rules:
        style = (
            "bold red" if rule.standing == "open" else "dim" if rule.standing in {"off", "waiting"} else ""
        )
        table.add_row(rule.rule, _standing(rule), rule.cleared_by, rule.action, style=style)
    return table


def _standing(rule: RuleStanding) -> str:
    if rule.at is None:
        return {"off": "off", "waiting": "nothing to fire about"}[rule.standing]
    return f"open since {_time(rule.at)}" if rule.standing == "open" else f"fires at {_time(rule.at)}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"
