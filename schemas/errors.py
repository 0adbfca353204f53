"""Every error Winback raises on purpose.

WinbackError
├── Rejected                a record that becomes a dead letter; carries its reason
├── ConfigurationError      the user can mend it; shown as one line, exit code 2
│   ├── PlaybookError       names line, key and allowed values
│   ├── ModelError          a model file that cannot be read or makes no sense
│   └── TopicsError         topics missing, partition counts unequal
├── BrokerUnreachable       shown as one line, exit code 3
├── StateError              a changelog record that cannot be read
└── Fatal                   stops the worker rather than lose or double anything
    ├── Gap                 source records are missing without an explanation
    └── Fenced              another worker has taken the partition over
"""


class WinbackError(Exception):
    """Base of all the others."""


class Rejected(WinbackError):
    """A record that cannot be folded. `reason` is a bounded label, `detail` for people.

    Neither ever holds a value out of the record: it may be personal.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ConfigurationError(WinbackError):
    """Something the user set is wrong; the message says what to do."""


class PlaybookError(ConfigurationError):
    """The playbook is wrong; the message names line, key and allowed values."""


class ModelError(ConfigurationError):
    """The model file is wrong."""


class TopicsError(ConfigurationError):
    """Topics are missing or do not fit each other."""


class BrokerUnreachable(WinbackError):
    """No broker answered."""


class StateError(WinbackError):
    """A state record is damaged or newer than this program."""


class Fatal(WinbackError):
    """Going on would lose or double something: the worker stops."""


class Gap(Fatal):
    """Source records are missing without an explanation."""


class Fenced(Fatal):
    """Another worker owns this partition now."""
