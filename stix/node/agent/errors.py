"""The one error the agent reports to its caller."""

from __future__ import annotations


class AgentError(Exception):
    """A request that is refused.

    Args:
        code: ``capacity``, ``fenced``, ``not_found``, ``invalid``, ``busy`` or ``failed``.
        message: One sentence for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def to_dict(self) -> dict[str, object]:
        return {"error": {"code": self.code, "message": self.message}}
