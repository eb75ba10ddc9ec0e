"""Which files have grown: the kernel tells, or they are asked for their sizes.

All files are asked every few seconds, whatever the kernel tells: some growth it is silent about (network drives, a
hard link in another folder, writing through mmap). A file that grew so, or whose folder cannot be watched, is asked
in every round while it grows, and every few seconds again when it has been quiet for a while.
"""

from collections.abc import Iterable
from os.path import dirname  # thousands of names a second: strings, not Path objects

from logagg.errors import SourceError
from logagg.source.follow import Follower
from logagg.source.roster import Roster

ASK_TOLD_S = 5.0
ASK_S = 1.0
ASK_MAX_S = 10.0
ASKED_PER_S = 1000
"""All files are asked so seldom that these many are a second, but no more seldom than every ten seconds."""

HOT_S = 60.0
"""A file that the kernel does not tell of is asked in every round for so long after it grew."""


class Growth:
    """`tells`: whether the watcher tells of growth at all. `grew_s`: when a file of which it did not tell grew last."""

    def __init__(self, roster: Roster) -> None:
        self.tells = False
        self.grew_s = float("-inf")
        self.unwatched: set[str] = set()
        self._unwatched_changed = False
        self.asked_s = float("-inf")
        self._roster = roster
        self._hot: list[Follower] = []
        self._failed: dict[Follower, SourceError] = {}
        self._unexplained: list[Follower] = []      # grew, and the kernel has not told of it (yet)

    @property
    def asked_in_rounds(self) -> bool:
        """Whether files are to be asked in every round."""
        return bool(self._hot)

    def due_s(self) -> float:
        """When all files are to be asked again."""
        least = ASK_TOLD_S if self.tells else ASK_S
        return self.asked_s + min(ASK_MAX_S, max(least, len(self._roster.followers) / ASKED_PER_S))

    def look(self, now_s: float, named: Iterable[str] | None, before: Iterable[Follower], *,
             all_of_them: bool, check: bool = False) -> set[Follower]:
        """Ask those that may have grown; the answer is those that did.

        `named` is what the watcher tells (None: it cannot, or has lost count), `before` the followers that were at
        these paths before the folders were listed in this round. `check`: see `Follower.look`.
        """
        lost_count = named is None and self.tells
        self.tells = self.tells or named is not None
        told = self._roster.told(named or ())
        told.update(dict.fromkeys(before))
        moved = self._roster.moved
        # Where names changed or events were lost, it may have been told of all the same.
        silent = [] if moved or lost_count else [one for one in self._unexplained if one not in told]
        for follower in silent:
            follower.told = False
        self._unexplained = []
        if all_of_them or lost_count:
            self.asked_s = now_s
            grown = {follower for follower in self._roster.followers if self._grew(follower, now_s, check=check)}
            self._unexplained = [] if lost_count else [
                f for f in grown if f not in told and f not in moved and not self._is_asked(f)]
        else:
            grown = {follower for follower in (*told, *moved) if self._grew(follower, now_s, check=check)}
            grown |= {one for one in self._hot if one not in told and self._grew(one, now_s, check=check)}
        for follower, error in self._failed.items():
            self._roster.fail(follower, error)
        self._failed = {}
        hot = [*silent, *(follower for follower in grown if self._is_asked(follower))]
        if hot:
            self.grew_s = now_s
        if moved or self._unwatched_changed:
            self._hot = [f for f in self._roster.followers if now_s - f.grew_s < HOT_S and self._is_asked(f)]
            self._unwatched_changed = False
            self.grew_s = max((follower.grew_s for follower in self._hot), default=self.grew_s)
        else:
            self._hot = [f for f in dict.fromkeys((*self._hot, *hot)) if now_s - f.grew_s < HOT_S and not f.dropped]
        return grown

    def watched(self, unwatched: Iterable[str]) -> None:
        """Tell which folders could not be watched."""
        before, self.unwatched = self.unwatched, set(unwatched)
        self._unwatched_changed |= before != self.unwatched

    def _is_asked(self, follower: Follower) -> bool:
        """Whether the kernel does not tell of this file's growth."""
        if not (self.tells and follower.told) or follower.away_s is not None:
            return True
        return bool(self.unwatched) and dirname(follower.path) in self.unwatched  # noqa: PTH120

    def _grew(self, follower: Follower, now_s: float, *, check: bool) -> bool:
        """Ask for the size; tell whether it is another, or the content is."""
        generation = follower.generation
        try:
            return follower.look(now_s, check=check) or follower.generation != generation
        except SourceError as error:
            self._failed[follower] = error
            return False
