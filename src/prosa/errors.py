"""What can go wrong, in the few classes a caller can act on.

Each class says by its place in the tree whether trying again can help. The first line of a message
says what happened, the second what to do next.
"""

from __future__ import annotations


class ProsaError(Exception):
    """Base of everything Prosa raises on purpose."""

    def __init__(self, message: str = "", *, code: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").split("\n")[0])
        self.code = code
        """The provider's own error code, when there is one (``"131047"``)."""


class TemporaryError(ProsaError):
    """It failed now and may work later."""

    def __init__(self, message: str = "", *, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        """Seconds to wait before the next try, when the other side said so."""


class SlowDown(TemporaryError):
    """The other side asks for a slower pace."""

    def __init__(
        self, message: str = "", *, code: str = "", retry_after: float | None = None, pair: bool = False
    ) -> None:
        super().__init__(message, code=code, retry_after=retry_after)
        self.pair = pair
        """True when only this recipient is limited, False when the whole number is."""


class UnknownOutcome(ProsaError):
    """The request left and no answer came: it may or may not have been carried out.

    Never repeated blindly; see ``conversations/outbox``.
    """


class PermanentError(ProsaError):
    """Trying again the same way cannot help."""


class WindowClosed(PermanentError):
    """The customer wrote too long ago for a free-form message; only a template may be sent."""


class ChannelBroken(PermanentError):
    """The inbox itself cannot send: revoked token, suspended number, unpaid account. A person must act."""


class BadInput(PermanentError):
    """What was sent to us cannot be understood."""


class TooLarge(BadInput):
    """It is bigger than the limit."""


class NotAllowed(PermanentError):
    """The address, file or action is refused by policy."""


class ConfigurationError(Exception):
    """A setting is missing or wrong.

    Stands outside :class:`ProsaError` so that nobody swallows it together with network errors.
    """
