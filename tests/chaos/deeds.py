"""What loggers, logrotate and operators do to files: each function is an action on a world, by its name."""

import random
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.written import Generation, Log

if TYPE_CHECKING:
    from tests.chaos.world import World

INDEX_MAX = 6


def write(world: "World", log: int, dice: int, records: int) -> None:
    one, rng = world.log(log), random.Random(dice)
    world.written.finish_line(one)
    world.written.write(one, b"".join(world.written.record(one, rng) for _ in range(records)))


def flush_in_line(world: "World", log: int, dice: int) -> None:
    """The logger's buffer is full in the middle of a line."""
    rng = random.Random(dice)
    record = world.written.record(world.log(log), rng)
    _flush_part(world, log, record, rng.randrange(1, len(record)))
    world.counts["flush_in_line"] += 1


def flush_in_character(world: "World", log: int, dice: int) -> None:
    """The logger's buffer is full in the middle of a character."""
    rng = random.Random(dice)
    record = world.written.record(world.log(log), rng, note=rng.choice(("é", "€", "𝄞")) * 3)
    inside = [i for i, byte in enumerate(record) if byte & 0xC0 == 0x80]
    _flush_part(world, log, record, rng.choice(inside))
    world.counts["flush_in_character"] += 1


def _flush_part(world: "World", log: int, record: bytes, at: int) -> None:
    one = world.log(log)
    world.written.finish_line(one)
    world.written.write(one, record[:at])
    one.rest = record[at:]


def cut_record(world: "World", log: int, dice: int, seconds: float) -> None:
    """The continuation lines of a record come later than its head."""
    one, rng = world.log(log), random.Random(dice)
    world.written.finish_line(one)
    world.written.write(one, world.written.record(one, rng))
    world.settle(seconds)
    world.written.write(one, b"java.lang.IllegalStateException: late\n\tat com.acme.Late.late(Late.java:1)\n")
    world.counts["cut_record"] += 1


def start_anew(world: "World", log: int, dice: int) -> None:
    """The application starts again, appends, and says what it always says first."""
    one = world.log(log)
    world.written.finish_line(one)
    world.written.write(one, one.banner or b"=== started ===\n")
    world.counts["start_anew"] += 1


# --- rotation -------------------------------------------------------------------------------------------------------


def rotate_shift(world: "World", log: int, dice: int, late: int, seconds: float, empty: bool) -> None:
    """log.1 is the newest: every file gets the next number. As Log4j 1.2, Logback's fixed window and logrotate do."""
    one = world.log(log)
    if one.linked:
        return
    for number, path in list(world.written.numbered(one)):
        if number >= INDEX_MAX and world.is_stored(world.written.at[path]):
            world.destroy(path)
        else:
            suffixes = path.name.removeprefix(f"{one.path.name}.{number}")
            world.written.rename(path, path.with_name(f"{one.path.name}.{number + 1}{suffixes}"))
        world.pause(seconds, dice + number)
    _rotate_to(world, one, one.path.with_name(f"{one.path.name}.1"), dice, late, seconds, empty=empty)
    world.counts["rotate_shift"] += 1


def rotate_max(world: "World", log: int, dice: int, late: int, seconds: float, empty: bool) -> None:
    """The highest number is the newest; once it is the maximum, all are renamed. As Log4j 2 does by default."""
    one = world.log(log)
    if one.linked:
        return
    files = list(world.written.numbered(one))[::-1]
    if files and files[-1][0] >= INDEX_MAX:
        if not world.is_stored(world.written.at[files[0][1]]):
            return
        lowest = files[0][0]
        for number, path in files:
            if number == lowest:
                world.destroy(path)
            else:
                suffixes = path.name.removeprefix(f"{one.path.name}.{number}")
                world.written.rename(path, path.with_name(f"{one.path.name}.{number - lowest}{suffixes}"))
            world.pause(seconds, dice + number)
    number = max((n for n, _ in world.written.numbered(one)), default=0) + 1
    _rotate_to(world, one, one.path.with_name(f"{one.path.name}.{number}"), dice, late, seconds, empty=empty)
    world.counts["rotate_max"] += 1


def rotate_date(world: "World", log: int, dice: int, late: int, seconds: float, empty: bool) -> None:
    """A name with the date and a number, which it keeps."""
    one = world.log(log)
    if one.linked:
        return
    _rotate_to(world, one, one.next_path(".2096-10-02-"), dice, late, seconds, empty=empty)
    world.counts["rotate_date"] += 1


def _rotate_to(world: "World", log: Log, path: Path, dice: int, late: int, seconds: float, *, empty: bool) -> None:
    """Rename the file, to which the logger may still write, and begin the next one."""
    rng = random.Random(dice)
    world.written.finish_line(log)
    world.written.rename(log.path, path)
    world.pause(seconds, dice)
    world.written.write(log, b"".join(world.written.record(log, rng) for _ in range(late)))
    world.pause(seconds, dice + 1)
    _begin(world, log, rng, empty=empty)


def _begin(world: "World", log: Log, rng: random.Random, *, empty: bool) -> None:
    world.written.create(log)
    if not empty:
        world.written.write(log, log.banner + world.written.record(log, rng))


def symlink_swap(world: "World", log: int, dice: int, empty: bool) -> None:
    """The log's name is a symbolic link, which now leads to a new file."""
    one = next(one for one in world.written.logs if one.linked)
    world.written.finish_line(one)
    _begin(world, one, random.Random(dice), empty=empty)
    world.counts["symlink_swap"] += 1


def compress(world: "World", log: int, dice: int, suffix: str) -> None:
    """A rotated file is compressed under a name that nobody looks at, and takes its place when it is complete."""
    if (path := _choose(world, log, dice)) is None:
        return
    hidden = world.folder / "away" / "packed"
    generation = world.written.at[path]
    world.written.put(hidden, world.pack(suffix, bytes(generation.text)))
    packed = path.with_name(path.name + suffix)
    hidden.rename(packed)
    world.written.add(packed, generation, len(generation.text))
    world.destroy(path)
    world.counts["compress"] += 1


def compress_slowly(world: "World", log: int, dice: int, suffix: str, seconds: float) -> None:
    """The compressed file grows beside the plain one, which is deleted at the end."""
    if (path := _choose(world, log, dice)) is None:
        return
    generation, packed = world.written.at[path], path.with_name(path.name + suffix)
    data = world.pack(suffix, bytes(generation.text))
    for part in (0, len(data) // 3, len(data) * 2 // 3):
        world.written.put(packed, data[:part])
        world.settle(seconds / 3)
    world.written.put(packed, data)
    world.written.add(packed, generation, len(generation.text))
    world.pause(seconds, dice)
    world.destroy(path)
    world.counts["compress_slowly"] += 1


# --- destruction ----------------------------------------------------------------------------------------------------


def copytruncate(world: "World", log: int, dice: int, between: int, seconds: float) -> None:
    """logrotate copies the file and empties it; what was written in between is in neither."""
    one, rng = world.log(log), random.Random(dice)
    generation, copy = one.current, one.next_path(".copied")
    world.written.put(copy, bytes(generation.text))
    world.written.add(copy, generation, len(generation.text))
    world.pause(seconds, dice)
    world.written.write(one, b"".join(world.written.record(one, rng) for _ in range(between)))
    world.pause(seconds, dice + 1)
    _empty(world, one, rng)
    world.counts["copytruncate"] += 1


def truncate_read(world: "World", log: int, dice: int) -> None:
    """A file is emptied of which everything is stored (`append=false` does so at a start)."""
    one = world.log(log)
    if not world.is_stored(one.current):
        world.settle(6)
    if world.is_stored(one.current):
        _empty(world, one, random.Random(dice))
        world.counts["truncate_read"] += 1


def truncate_seen(world: "World", log: int, dice: int, records: int, seconds: float) -> None:
    """A file is emptied whose last bytes were seen, and not stored because the store was away."""
    one, rng, was_down = world.log(log), random.Random(dice), world.store.down
    world.store_down()
    world.written.write(one, b"".join(world.written.record(one, rng) for _ in range(records)))
    world.settle(11)
    _empty(world, one, rng)
    world.settle(seconds)
    world.store.down = was_down
    world.counts["truncate_seen"] += 1


def truncate_unseen(world: "World", log: int, dice: int, records: int) -> None:
    """A file is emptied before anybody could have seen its last bytes."""
    one, rng = world.log(log), random.Random(dice)
    world.written.write(one, b"".join(world.written.record(one, rng) for _ in range(records)))
    _empty(world, one, rng)
    world.counts["truncate_unseen"] += 1


def _empty(world: "World", log: Log, rng: random.Random) -> None:
    """Empty the file; the logger goes on with the rest of its line, then with a new start."""
    world.lost(world.written.empty(log))
    rest, log.rest = log.rest, b""
    world.written.write(log, rest + (log.banner if not rest else b"") + world.written.record(log, rng))


def delete_read(world: "World", log: int, dice: int) -> None:
    if (path := _choose(world, log, dice)) is not None and world.is_stored(world.written.at[path]):
        world.destroy(path)
        world.counts["delete_read"] += 1


def delete_unread(world: "World", log: int, dice: int, records: int, seconds: float) -> None:
    """The file is deleted right after something was written to it, and the logger begins a new one."""
    one, rng = world.log(log), random.Random(dice)
    if one.linked:
        return
    world.written.finish_line(one)
    world.written.write(one, b"".join(world.written.record(one, rng) for _ in range(records)))
    world.destroy(one.path)
    world.pause(seconds, dice)
    _begin(world, one, rng, empty=False)
    world.counts["delete_unread"] += 1


def move_within(world: "World", log: int, dice: int) -> None:
    """A rotated file goes to a folder that is followed too."""
    log = 2 + log % 2
    if (path := _choose(world, log, dice)) is not None:
        world.written.rename(path, world.folder / "one" / "old" / world.log(log).next_path(".moved").name)
        world.counts["move_within"] += 1


def move_away(world: "World", log: int, dice: int) -> None:
    """A rotated file goes to where nobody looks."""
    if (path := _choose(world, log, dice)) is not None:
        gone = world.folder / "away" / world.log(log).next_path(".gone").name
        world.written.rename(path, gone)
        world.destroy(gone, unlink=False)
        world.counts["move_away"] += 1


# --- copies and links -----------------------------------------------------------------------------------------------


def copy_whole(world: "World", log: int, dice: int) -> None:
    generation, path = _any(world, log, dice)
    _copy(world, generation, path, len(generation.text))
    world.counts["copy_whole"] += 1


def copy_part(world: "World", log: int, dice: int) -> None:
    generation, path = _any(world, log, dice)
    if generation.text:
        _copy(world, generation, path, random.Random(dice).randrange(len(generation.text)))
        world.counts["copy_part"] += 1


def _copy(world: "World", generation: Generation, path: Path, size: int) -> None:
    copy = path.with_name(generation.log.next_path(".bak").name)
    world.written.put(copy, bytes(generation.text[:size]))
    world.written.add(copy, generation, size)


def hard_link(world: "World", log: int, dice: int) -> None:
    generation, path = _any(world, log, dice)
    link = path.with_name(generation.log.next_path(".link").name)
    link.hardlink_to(path)
    world.written.add(link, generation, None)
    world.counts["hard_link"] += 1


def reuse_inode(world: "World", log: int, dice: int) -> None:
    """While no agent runs, a file that was read is deleted, and the log's next file gets its inode."""
    one, rng = world.log(log), random.Random(dice)
    path = _choose(world, log, dice)
    if one.linked or path is None or not world.is_stored(world.written.at[path]):
        return
    world.stop_agent(killed=True)
    generation = world.written.at[path]
    for other in [other for other, size in generation.paths.items() if size is None and other != path]:
        world.destroy(other)
    world.written.finish_line(one)
    world.written.rename(one.path, one.next_path(".2096-10-02-"))
    world.destroy(path, unlink=False)
    world.written.begin_in(one, path)
    world.written.write(one, one.banner + world.written.record(one, rng))
    world.start_agent()
    world.counts["reuse_inode"] += 1


# --- permissions ----------------------------------------------------------------------------------------------------


def forbid(world: "World", log: int, dice: int, rotated: bool, killed: bool) -> None:
    """A file may not be opened any more, until `permit`; if the agent is killed, the next one cannot read it."""
    path = _choose(world, log, dice) if rotated else world.log(log).file()
    if path is not None:
        path.chmod(0)
        if killed:
            world.kill()
        world.settle(1)
        world.counts["forbid"] += 1


def permit(world: "World") -> None:
    for path in world.written.at:
        path.chmod(0o644)


def _choose(world: "World", log: int, dice: int) -> Path | None:
    """One of the log's rotated plain files; not one that may not be read."""
    paths = world.written.rotated(world.log(log))
    return random.Random(dice).choice(paths) if paths else None


def _any(world: "World", log: int, dice: int) -> tuple[Generation, Path]:
    """Any plain file of the log, with its generation."""
    one = world.log(log)
    path = random.Random(dice).choice([one.file(), *world.written.rotated(one)])
    return world.written.at[path], path
