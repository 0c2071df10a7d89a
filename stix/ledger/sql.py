"""SQL with named parameters, and the parts every fenced statement is made of.

A fenced write is **one** statement. Its first part, ``fence``, updates the run's lease row where
the token is the caller's and its engine is alive; every effect reads from ``fence``. A takeover
updates the same row, so PostgreSQL orders the two: a write that waited for a takeover re-evaluates
the condition on the new row, finds another token, and has no effect.

The same update draws the run's next event number. The row lock is held until the commit, so events
of one run become visible in the order of their numbers, and a reader that polls for numbers above
the last one seen misses none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")

ALIVE = "e.fenced IS NULL AND e.retired IS NULL AND e.expires > clock_timestamp()"

_BUMP = "UPDATE leases l SET events = l.events + 1, last_event = clock_timestamp()"

_NOTIFY = "pg_notify('stix_events', f.run_id)"


@dataclass(frozen=True)
class Statement:
    """A statement in asyncpg's form (``$1``) with the names of its parameters in order."""

    text: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Statement:
        """Make one from SQL with ``:name`` parameters."""
        names: list[str] = []

        def number(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"

        return cls(_PARAMETER.sub(number, text), tuple(names))


def fence(condition: str = "true", *, extra: str = "") -> str:
    """The checked part of a write by an engine: parameters ``run_id`` and ``token``.

    Args:
        condition: What else must hold for a write at all, over the lease ``l``.
        extra: Further changes of the lease itself.
    """
    changes = f", {extra}" if extra else ""
    return f"""fence AS (
        {_BUMP}{changes} FROM engines e
        WHERE l.run_id = :run_id AND l.token = :token AND e.id = l.engine_id AND {ALIVE}
          AND ({condition})
        RETURNING l.run_id, l.events AS number)"""


def quiet_fence() -> str:
    """As ``fence``, for a write that appends no event."""
    return f"""fence AS (
        SELECT l.run_id FROM leases l JOIN engines e ON e.id = l.engine_id
        WHERE l.run_id = :run_id AND l.token = :token AND {ALIVE}
        FOR SHARE OF l)"""


def unfenced(run_id: str = ":run_id") -> str:
    """The first part of a write by somebody who is no engine: only the event's number."""
    return f"""fence AS (
        {_BUMP} WHERE l.run_id = {run_id}
        RETURNING l.run_id, l.events AS number)"""


def event(kind: str, data: str, *, key: str = "NULL", source: str = "fence f") -> str:
    """The part that appends one event; ``data`` and ``key`` are SQL expressions."""
    return f"""event AS (
        INSERT INTO events (run_id, number, kind, key, data, op)
        SELECT f.run_id, f.number, '{kind}', {key}, {data}, :op FROM {source}
        RETURNING number)"""


def statement(*parts: str, select: str = "f.run_id") -> Statement:
    """One statement of CTE parts, ending with the notification of the run's readers."""
    return Statement.of(f"WITH {', '.join(parts)} SELECT {select}, {_NOTIFY} FROM fence f")


def quiet_statement(*parts: str, select: str = "f.run_id") -> Statement:
    """One statement of CTE parts that notifies nobody."""
    return Statement.of(f"WITH {', '.join(parts)} SELECT {select} FROM fence f")


STAGE_EXISTS = "EXISTS (SELECT FROM stages s WHERE s.run_id = l.run_id AND s.key = :key)"
ATTEMPT_EXISTS = (
    "EXISTS (SELECT FROM attempts a"
    " WHERE a.run_id = l.run_id AND a.key = :key AND a.number = :number)"
)
