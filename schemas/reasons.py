"""Why a record becomes a dead letter: a bounded vocabulary, fit for a metric's label."""

from typing import Final, Literal, get_args

Reason = Literal[
    "empty_value",  # nothing in the record
    "too_large",  # more bytes than any event needs
    "not_utf8",
    "not_json",
    "wrong_type",  # a text where a number belongs, and the like
    "missing_field",
    "bad_value",  # right type, impossible content: NaN, a negative or absurd amount, no time zone
    "unknown_version",  # of the event's schema, of its CloudEvents type or of CloudEvents itself
    "unknown_currency",  # neither the base currency nor one with a rate in the playbook
    "before_1970",
    "future",  # dated later than the record itself, by more than clocks may differ
    "no_key",
    "key_mismatch",  # the record's key is not the customer's id
    "quarantined",  # the state of its customer cannot be read
    "too_late",  # further behind the partition's clock than the playbook's max_lateness
]

REASONS: Final[tuple[str, ...]] = get_args(Reason)
