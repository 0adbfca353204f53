"""What the documentation shows of the code, made from the code.

    python -m docs.draw

writes docs/pictures/lifecycle.svg, docs/metrics.md and the trigger in README.md. The tests in
tests/docs fail where one of them is out of date.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape
from math import hypot, inf
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from schemas.codec import headers_and_body
from schemas.events import Purchase
from schemas.instants import since_epoch
from schemas.topics import PURCHASES
from streams import metrics
from streams.checked import CheckedIn, SourceRecord
from streams.core.advance import advance
from streams.core.lifecycle import LABELS, TRANSITIONS, Signal, Stage
from streams.core.step import Step
from streams.core.stimuli import Elapsed, Ordered
from streams.intake import check_in_purchase, hash_of
from streams.playbook_file import load_playbook

ROOT: Final = Path(__file__).parents[1]

# ------------------------------------------------------------------------------------- the lifecycle

_PLACES: Final[Mapping[Stage, tuple[int, int]]] = MappingProxyType(
    {
        Stage.PROSPECT: (80, 40),
        Stage.NEW: (80, 200),
        Stage.ACTIVE: (450, 40),
        Stage.AT_RISK: (320, 330),
        Stage.WON_BACK: (530, 230),
        Stage.LAPSED: (850, 330),
    }
)
"""Where the middle of each stage stands, in pixels: so that few arrows cross."""

_COLOURS: Final[Mapping[Signal, str]] = MappingProxyType(
    {
        Signal.FIRST_ORDER: "#2f6fae",
        Signal.ORDER: "#1e7d46",
        Signal.RETURN: "#15777c",
        Signal.RISK: "#a85a0f",
        Signal.LAPSE: "#b32d42",
    }
)
"""Each can be seen on white and on black, and white words can be read on it."""

_WIDTH: Final = 112
_HEIGHT: Final = 44
_LETTER: Final = 7.0
"""The width of a letter of a label, with room for wide ones."""
_BEND: Final = 32
"""How far an arrow leaves the straight line where another comes back."""
_AROUND: Final[Mapping[tuple[Stage, Stage], int]] = MappingProxyType(
    {(Stage.NEW, Stage.LAPSED): 170, (Stage.ACTIVE, Stage.LAPSED): 0, (Stage.LAPSED, Stage.ACTIVE): 50}
)
"""As _BEND, of arrows that have something in their way."""
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


def lifecycle_picture() -> str:
    """streams/core/lifecycle.py's TRANSITIONS as an SVG."""
    moves = TRANSITIONS.items()
    words = "; ".join(f"{LABELS[before]} to {LABELS[after]}: {signal}" for (before, signal), after in moves)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 930 520" font-family="{_FONT}" font-size="15"',
        '     role="img" aria-labelledby="title description">',
        '  <title id="title">The stages of a customer</title>',
        f'  <desc id="description">{escape(words)}.</desc>',
        "  <!-- Drawn by docs/draw.py from streams/core/lifecycle.py. -->",
        *(_tip(signal) for signal in Signal),
        *(_arrow(before, signal, after) for (before, signal), after in moves),
        *(_box(_PLACES[stage], (_WIDTH, _HEIGHT), "#3d4a5c", LABELS[stage]) for stage in Stage),
        *_legend(),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _tip(signal: Signal) -> str:
    return (
        f'  <marker id="{signal.name.lower()}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
        f'markerHeight="8" orient="auto"><path d="M0 0 10 5 0 10z" fill="{_COLOURS[signal]}"/></marker>'
    )


def _arrow(before: Stage, signal: Signal, after: Stage) -> str:
    """An arrow, bent to its right so that the way back has a side of its own, and its label on it."""
    (x1, y1), (x2, y2) = _PLACES[before], _PLACES[after]
    returns = any(start is after and end is before for (start, _), end in TRANSITIONS.items())
    bend = _AROUND.get((before, after), _BEND if returns else 0)
    length = hypot(x2 - x1, y2 - y1)
    pull = (x1 + x2) / 2 + 2 * bend * (y1 - y2) / length, (y1 + y2) / 2 + 2 * bend * (x2 - x1) / length
    start, end = _edge((x1, y1), pull), _edge((x2, y2), pull)
    apex = (start[0] + 2 * pull[0] + end[0]) / 4, (start[1] + 2 * pull[1] + end[1]) / 4
    colour = _COLOURS[signal]
    curve = f"M{start[0]:.0f} {start[1]:.0f} Q{pull[0]:.0f} {pull[1]:.0f} {end[0]:.0f} {end[1]:.0f}"
    return (
        f'  <path d="{curve}" fill="none" stroke="{colour}" stroke-width="2" '
        f'marker-end="url(#{signal.name.lower()})"/>\n' + _label(apex, signal)
    )


def _edge(middle: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Where the line from the middle of a stage leaves its box, and a little room around it."""
    across, down = towards[0] - middle[0], towards[1] - middle[1]
    scale = min(
        (_WIDTH / 2 + 4) / abs(across) if across else inf,
        (_HEIGHT / 2 + 4) / abs(down) if down else inf,
    )
    return middle[0] + across * scale, middle[1] + down * scale


def _legend() -> Iterator[str]:
    """What each label stands for, below the picture."""
    for row, signal in enumerate(Signal):
        y = 400 + 26 * row
        yield _label((60, y), signal)
        yield f'  <text x="110" y="{y + 4}" font-size="13" fill="#7d8590">{escape(signal)}</text>'


def _label(middle: tuple[float, float], signal: Signal) -> str:
    words = signal.name.lower().replace("_", " ")
    return _box(middle, (round(_LETTER * len(words)) + 12, 20), _COLOURS[signal], words, letters=13)


def _box(
    middle: tuple[float, float], size: tuple[int, int], fill: str, words: str, *, letters: int = 15
) -> str:
    """Words on a box; size: its width and height, letters: their height."""
    (x, y), (width, height) = middle, size
    return (
        f'  <rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" width="{width}" height="{height}" rx="8" '
        f'fill="{fill}"/>\n  <text x="{x:.0f}" y="{y + letters / 3:.0f}" font-size="{letters}" '
        f'fill="#ffffff" text-anchor="middle">{escape(words)}</text>'
    )


# --------------------------------------------------------------------------------------- the metrics

_METRICS_HEAD: Final = """\
# Metrics

<!-- Written by `python -m docs.draw` from streams/metrics.py, where each metric is defined once. -->

Every worker serves these at `/metrics`, in Prometheus' text format or as OpenMetrics, beside the
process's own (`process_*`, `python_*`). Labels are bounded: no customer ever stands in one.
Counters count a batch when its transaction has committed, so one that was aborted and done again
counts once. [Operations](operations.md#what-to-alert-on) says what to alert on.

| metric | type | labels | what it is | what it is good for |
|---|---|---|---|---|
"""

_METRICS_FOOT: Final = """
The label `outcome` says what became of a record:

- `folded`: it is in the customer's state now.
- `duplicate`: its event was folded before.
- `too_late`: a dead letter because of its age.
- `dead_letter`: a dead letter for any other reason.
- `before_begin`: dated before the beginning of a `winback replay`, so it was passed over.
- `after_end`: dated at or after the end instant of a bounded replay, so it was passed over.
- `forgotten`: dated at or before its customer's [erasure](operations.md#erasure); or unreadable, and
  written before it.

The reasons of dead letters are listed under [Operations](operations.md#dead-letters).
"""

_COMMENT: Final = re.compile(r"\s*# (.*)")
_DEFINITION: Final = re.compile(r"\s*self\.(\w+): Final = (?:Counter|Gauge|Histogram)\(")
_KINDS: Final = MappingProxyType({"counter": "_total", "gauge": "", "histogram": ""})
"""What the exposition adds to a metric's name."""


def metrics_page() -> str:
    """docs/metrics.md: each metric with its labels, and what the comment above it says."""
    kept = metrics.Metrics(CollectorRegistry())
    return "".join([_METRICS_HEAD, *(_row(kept, *found) for found in _definitions()), _METRICS_FOOT])


def _row(kept: metrics.Metrics, attribute: str, comment: str) -> str:
    metric = getattr(kept, attribute)
    assert isinstance(metric, MetricWrapperBase), attribute
    [family] = metric.describe()
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - it has no public reader
    name = f"{family.name}{_KINDS[family.type]}"
    return f"| `{name}` | {family.type} | {labels} | {family.documentation} | {comment} |\n"


def _definitions() -> Iterator[tuple[str, str]]:
    """Attribute of each metric, and the comment above its definition."""
    comment: list[str] = []
    for line in Path(metrics.__file__).read_text(encoding="utf-8").splitlines():
        if found := _COMMENT.fullmatch(line):
            comment.append(found[1])
            continue
        if found := _DEFINITION.match(line):
            yield found[1], " ".join(comment)
        comment = []


# ---------------------------------------------------------------------------------- the README's trigger

EARLIER_ORDERS: Final = ("01-04", "01-13", "01-21", "02-01", "02-10", "02-19", "03-01")
"""Days of 2026 on which the README's customer has ordered before."""
_NOTICED_AFTER_MS: Final = 9
"""How much later than due the README's worker looks at its clock."""
_EXAMPLE: Final = re.compile(
    r"(<!-- purchase -->\n```json\n(.*?)```\n.*?<!-- trigger -->\n)(.*?)(<!-- end -->)", re.DOTALL
)


def with_trigger(readme: str) -> str:
    """The README, the trigger in it being what follows from the purchase in it."""
    found = _EXAMPLE.search(readme)
    assert found is not None, "the README has lost its example"
    return f"{readme[: found.start()]}{found[1]}{trigger_of(found[2])}{found[4]}{readme[found.end() :]}"


def trigger_of(purchase: str) -> str:
    """What Winback says when this order is followed by silence, as Markdown: headers and value."""
    playbook = load_playbook(None, None)
    record = _record(purchase)
    checked_in = check_in_purchase(record, playbook)
    assert isinstance(checked_in, CheckedIn), checked_in
    customer_id = checked_in.key.decode()
    step: Step | None = None
    for stimulus in (*_earlier(), checked_in.stimulus):
        customer = None if step is None else step.customer
        step = advance(customer_id, customer, stimulus, now=stimulus.at, playbook=playbook)
    assert step is not None
    noticed = step.wake_at + _NOTICED_AFTER_MS
    [trigger] = advance(customer_id, step.customer, Elapsed(), now=noticed, playbook=playbook).triggers
    headers, body = headers_and_body(trigger)
    lines = [("key", customer_id), *((name, content.decode()) for name, content in headers)]
    return (
        "```text\n" + "".join(f"{name:<16}{content}\n" for name, content in lines) + "```\n\n"
        f"```json\n{_laid_out(json.loads(body))}\n```\n"
    )


def _laid_out(value: object, indent: str = "", room: int = 96) -> str:
    """JSON on one line where there is room for it, else a member a line."""
    line = json.dumps(value)
    if len(line) <= room or not isinstance(value, dict | list):
        return line
    inner = f"{indent}  "
    if isinstance(value, list):
        members = [_laid_out(member, inner, room) for member in value]
    else:
        members = [f"{json.dumps(name)}: {_laid_out(member, inner, room)}" for name, member in value.items()]
    opening, closing = "[]" if isinstance(value, list) else "{}"
    body = ",\n".join(f"{inner}{member}" for member in members)
    return f"{opening}\n{body}\n{indent}{closing}"


def _earlier() -> Iterator[Ordered]:
    for day in EARLIER_ORDERS:
        at = datetime.fromisoformat(f"2026-{day}T18:42:07+00:00")
        yield Ordered(since_epoch(at), hash_of(f"event {day}"), hash_of(f"order {day}"), 4990)


def _record(purchase: str) -> SourceRecord:
    """The purchase as a record of its topic, written when it happened."""
    event = msgspec.json.decode(purchase, type=Purchase)
    return SourceRecord(
        topic=PURCHASES.name,
        partition=0,
        offset=0,
        timestamp=since_epoch(event.occurred_at),
        key=event.customer_id.encode(),
        value=purchase.encode(),
    )


def pages() -> dict[Path, str]:
    """Each file that is drawn, and what should stand in it."""
    readme = ROOT / "README.md"
    return {
        ROOT / "docs" / "pictures" / "lifecycle.svg": lifecycle_picture(),
        ROOT / "docs" / "metrics.md": metrics_page(),
        readme: with_trigger(readme.read_text(encoding="utf-8")),
    }


def main() -> None:
    """Write them all."""
    for path, content in pages().items():
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
