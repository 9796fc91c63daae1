"""Which files of a lake in an object store count: the entries and checkpoints, and how they are changed without losing any."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import stamina
from obstore.exceptions import AlreadyExistsError, GenericError, NotFoundError
from obstore.store import ObjectStore

from connectors.lake import LakeFile
from connectors.lake.checkpoints import (
    CHECKPOINTS,
    ENTRIES,
    Checkpoint,
    checkpoint_key,
    entry_key,
    from_entry,
    from_parquet,
    number_of,
    object_name,
    to_entry,
    to_parquet,
)

FOLD_AT = 100  # entries
_AT_ONCE = 16  # requests
_TRIES = 8  # of a conditional put that nothing answers
_KEPT = 2  # checkpoints beside the newest, for whoever reads one just now


class Chains:
    """The chain of each partition, for all threads. Errors are obstore's."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._checkpoint = Checkpoint()
        self._entries: dict[str, LakeFile] = {}
        self._entered = 0

    def enter(self, file: LakeFile, follows: int) -> bool:
        """Create the entry that makes a file count; False where its chain goes on with another. Folds, where entries are many."""
        key = entry_key(file.topic, file.partition, follows)
        if not self.create(key, to_entry(file)):
            return False
        # The entry that was there may have been folded, and its place be free again: the checkpoint knows of it.
        newest = self.newest()
        if newest.passed(key) and not newest.held([object_name(file)]):
            obstore.delete(self._store, key)
            return False
        self._entries = {**self._entries, key: file}
        self._entered += 1
        if self._entered % FOLD_AT == 0:
            self.fold()
        return True

    def read(self) -> tuple[Checkpoint, list[LakeFile]]:
        """The newest checkpoint, and the files that go on from it."""
        while True:
            checkpoint = self.newest()
            tail = checkpoint.tail(self._listed())
            if self.newest().number == checkpoint.number:  # else entries may have been removed in between
                return checkpoint, tail

    def fold(self) -> tuple[Checkpoint, list[LakeFile]]:
        """What `read` gives. Where entries are many, they are folded into the next checkpoint then, and removed."""
        checkpoint, tail = self.read()
        entries = self._entries
        if len(entries) < FOLD_AT:
            return checkpoint, tail
        self._follow(checkpoint.followed_by(tail))
        newest = self.newest()
        passed = [key for key in entries if newest.passed(key)]
        names = [object_name(entries[key]) for key in passed]
        obstore.delete(self._store, [*passed, *(set(names) - newest.held(names))])  # of who came too late, the data too
        return checkpoint, tail

    def commit(self, change: Callable[[Checkpoint], Checkpoint]) -> None:
        """Change the checkpoint, with what goes on from it folded in, until nobody else was faster."""
        while True:
            checkpoint, tail = self.read()
            if self._follow(change(checkpoint.followed_by(tail))):
                return

    def newest(self) -> Checkpoint:
        """The newest checkpoint; an empty one before the first."""
        while number := max(map(number_of, self._keys(CHECKPOINTS)), default=0):
            known = self._checkpoint
            if number == known.number:
                return known
            content = self._content(checkpoint_key(number))
            if content is not None:  # else others were written meanwhile
                self._checkpoint = found = from_parquet(number, content)
                return found
        return Checkpoint()

    def create(self, key: str, content: bytes) -> bool:
        """Whether a name could be made. Where an answer was lost, it is asked for again, and finds its own content: obstore
        itself repeats only what it knows to be harmless.
        """
        while True:
            try:
                for attempt in stamina.retry_context(on=GenericError, attempts=_TRIES, timeout=None):
                    with attempt:
                        obstore.put(self._store, key, content, mode="create")
                return True
            except AlreadyExistsError:
                there = self._content(key)
                if there is not None:
                    return there == content

    def _listed(self) -> dict[str, LakeFile]:
        """Every entry that is there, by its key; what one says is asked for once."""
        keys = self._keys(ENTRIES)
        new = [key for key in keys if key not in self._entries]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = dict(zip(new, pool.map(self._content, new), strict=True))
        said = {key: from_entry(content, self._folder) for key, content in found.items() if content is not None}
        known = {**self._entries, **said}
        entries = {key: known[key] for key in keys if key in known}
        self._entries = entries
        return entries

    def _follow(self, checkpoint: Checkpoint) -> bool:
        """Store a changed checkpoint as the one that follows; whether nobody else did. Older ones are removed."""
        number = checkpoint.number + 1
        if not self.create(checkpoint_key(number), to_parquet(checkpoint)):
            return False
        newest = self.newest().number
        if newest > number + _KEPT:  # this number may have been taken, and removed, long ago
            return False
        old = [key for key in self._keys(CHECKPOINTS) if number_of(key) < newest - _KEPT]
        obstore.delete(self._store, old)
        return True

    def _content(self, key: str) -> bytes | None:
        """What an object says; None where it is gone."""
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except (NotFoundError, FileNotFoundError):
            return None

    def _keys(self, prefix: str) -> list[str]:
        return [one["path"] for page in obstore.list(self._store, prefix) for one in page]
