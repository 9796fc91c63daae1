"""Reading several repositories or servers of one source."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from schemas.errors import ProficioError

Item = TypeVar("Item")
Read = TypeVar("Read")


def in_turn(items: Iterable[Item], read: Callable[[Item], Iterator[Read]]) -> Iterator[Read]:
    """What is read of each item. One that fails does not stop those after it; all that failed are told at the end."""
    failed: list[ProficioError] = []
    for item in items:
        try:
            yield from read(item)
        except ProficioError as error:
            failed.append(error)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise type(failed[0])("\n".join(map(str, failed)), failed[0].hint)
