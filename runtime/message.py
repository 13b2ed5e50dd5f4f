"""The two kinds of message: a `Call` expects an answer, a `Cast` does not."""

from typing import Generic, TypeVar

Reply = TypeVar("Reply", covariant=True)


class Message:
    """Base of everything an actor receives. Subclasses are frozen attrs classes."""

    __slots__ = ()


class Cast(Message):
    """A message without an answer."""

    __slots__ = ()


class Call(Message, Generic[Reply]):
    """A message that is answered with a `Reply`, which types `await ref.ask(message)`."""

    __slots__ = ()
