"""At most one process leads, and a dead leader is followed."""

from logagg.clock import StepClock
from logagg.lease import TTL_S, Lease
from logagg.store.memory import MemoryStore


def two() -> tuple[StepClock, Lease, Lease]:
    store, clock = MemoryStore(), StepClock()
    return clock, Lease(store, clock), Lease(store, clock)


def test_only_one_leads() -> None:
    """While one holds the lease and renews it, the other does not get it."""
    clock, one, other = two()
    for _ in range(20):
        assert one.hold()
        assert not other.hold()
        clock.step(TTL_S / 4)


def test_dead_leader_is_followed() -> None:
    """After its time the lease goes to whoever asks; the old leader then knows that it leads no more."""
    clock, one, other = two()
    assert one.hold()
    clock.step(TTL_S - 0.1)
    assert not other.hold()
    clock.step(0.2)
    assert other.hold()
    assert not one.hold()


def test_release() -> None:
    """A leader that ends in order is followed at once."""
    _, one, other = two()
    assert one.hold()
    one.release()
    assert other.hold()
    other_again = one.hold()
    assert not other_again
