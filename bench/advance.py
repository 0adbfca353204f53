"""What one decision costs: `python -m bench.advance [--json]`.

Three thousand customers who buy every eight days on average and sign in now and then, each with the
next purchase to come; all rules on, `silent_for` too. Deadlines before the purchase are settled
beforehand, as the processor does. Each purchase is decided fifty times; its cost is the least of
them, what the code takes while nobody else takes the processor, and the percentile is over customers.
WINBACK_COMPILED=1 measures the compiled fold; the bars are for plain Python.
"""

import argparse
import gc
import sys
from dataclasses import replace
from random import Random
from time import perf_counter

import orjson

from schemas.customer import Customer
from streams.core.advance import advance
from streams.core.playbook import DAY, Playbook, SilentFor
from streams.core.stimuli import Elapsed, LoggedIn, Ordered
from streams.playbook_file import load_playbook

CUSTOMERS = 3000
ROUNDS = 50
MEAN_BAR, P99_BAR = 15.0, 30.0
"""Microseconds."""

Case = tuple[str, Customer, Ordered]


def cases(playbook: Playbook, seed: int = 1) -> list[Case]:
    """Customers just before a purchase, and the purchase."""
    random = Random(seed)
    made: list[Case] = []
    for number in range(CUSTOMERS):
        name = f"customer-{number}"
        customer: Customer | None = None
        at = 20_000 * DAY + random.randrange(DAY)
        for _ in range(random.randrange(1, 12)):
            at += int(random.expovariate(1 / (8 * DAY)))
            customer = advance(name, customer, _order(random, at), now=at, playbook=playbook).customer
            if random.random() < 0.5:
                at += 1000
                login = LoggedIn(at, random.getrandbits(64))
                customer = advance(name, customer, login, now=at, playbook=playbook).customer
        at += int(random.expovariate(1 / (8 * DAY)))
        settled = advance(name, customer, Elapsed(), now=at, playbook=playbook).customer
        made.append((name, settled, _order(random, at)))
    return made


def _order(random: Random, at: int) -> Ordered:
    return Ordered(at, random.getrandbits(64), random.getrandbits(64), random.randrange(10_000))


def measure(playbook: Playbook) -> dict[str, float]:
    """Mean and 99th percentile in microseconds, and triggers a purchase."""
    made = cases(playbook)
    best = [1.0] * len(made)
    triggers = 0
    gc.disable()
    for turn in range(ROUNDS):
        for index, (name, customer, order) in enumerate(made):
            began = perf_counter()
            step = advance(name, customer, order, now=order.at, playbook=playbook)
            best[index] = min(best[index], perf_counter() - began)
            triggers += len(step.triggers) if turn == 0 else 0
    gc.enable()
    best.sort()
    return {
        "mean_microseconds": sum(best) / len(best) * 1e6,
        "median_microseconds": best[len(best) // 2] * 1e6,
        "p99_microseconds": best[int(len(best) * 0.99)] * 1e6,
        "triggers_a_purchase": triggers / len(best),
    }


def main() -> int:
    """The command; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.advance", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="for programs")
    arguments = parser.parse_args()
    playbook = replace(load_playbook(None, None), silent_for=SilentFor())
    result = measure(playbook)
    if arguments.json:
        print(orjson.dumps(result).decode())
    else:
        for name, figure in result.items():
            print(f"{name.replace('_', ' '):<22} {figure:8.2f}")
        print(f"bars: mean {MEAN_BAR} us, p99 {P99_BAR} us")
    return result["mean_microseconds"] > MEAN_BAR or result["p99_microseconds"] > P99_BAR


if __name__ == "__main__":
    sys.exit(main())
