"""Who goes next: played through with runs that take exactly what they were thought to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from forebay.run import admit
from forebay.run.admit import Capacity, Running, Waiting, choose, foresee, forgotten

GB = 10**9
leisurely = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def play(
    arrivals: Sequence[Waiting],
    capacity: Capacity,
    served: dict[str, float] | None = None,
    more: Callable[[float, int], list[Waiting]] = lambda now, waiting: [],
    until: float = 1e9,
) -> dict[str, float]:
    """When each run begins. `more` gives what else comes, by what time it is and how many wait. At no moment is there more than there is room for."""
    coming = sorted(arrivals, key=lambda one: one.since)
    had, waiting, running, begun = dict(served or {}), list[Waiting](), list[Running](), dict[str, float]()
    now = coming[0].since if coming else 0.0
    while coming or waiting:
        waiting += [one for one in coming if one.since <= now] + more(now, len(waiting))
        coming = [one for one in coming if one.since > now]
        while (one := choose(waiting, running, had, capacity, now)) is not None:
            waiting.remove(one)
            begun[one.run] = now
            running.append(Running(one.user, one.memory, now, now + one.seconds))
            assert len(running) <= capacity.workers
            assert sum(other.memory for other in running) <= capacity.memory or len(running) == 1
        if now > until:
            break
        ahead = [other.ends for other in running] + [one.since for one in coming[:1]]
        if not ahead:
            assert not waiting, "there is room, and nobody takes it"
            break
        before, now = now, min(ahead)
        had = forgotten(had, now - before)
        for other in [other for other in running if other.ends <= now]:
            running.remove(other)
            had[other.user] = had.get(other.user, 0.0) + now - other.began
    return begun


capacities = some.builds(Capacity, some.integers(1, 4), some.integers(1, 8).map(lambda n: n * GB))


@some.composite
def runs(draw: some.DrawFn, most: int = 25, span: float = 300.0) -> list[Waiting]:
    number = count()
    one = some.builds(
        lambda user, memory, seconds, since: Waiting(str(next(number)), user, memory * GB, seconds, since),
        some.sampled_from("abc"), some.integers(1, 10), some.floats(0.01, 100), some.floats(0, span),
    )  # fmt: skip
    return draw(some.lists(one, min_size=1, max_size=most))


@leisurely
@given(runs(), capacities, some.dictionaries(some.sampled_from("abc"), some.floats(0, 1000)))
def test_there_is_always_room_for_what_goes_on_and_every_run_gets_its_turn(arrivals, capacity, served) -> None:
    begun = play(arrivals, capacity, served)
    assert begun.keys() == {one.run for one in arrivals}
    assert all(begun[one.run] >= one.since for one in arrivals)


@settings(leisurely, max_examples=20)
@given(
    some.integers(1, 3), some.integers(1, 8), some.floats(0, 300), some.integers(1, 5), some.floats(0.5, 5.0), some.floats(1, 100)
)  # fmt: skip
def test_small_runs_that_keep_coming_hold_up_no_large_one_for_ever(workers, memory, served, users, small, large) -> None:
    capacity, number = Capacity(workers, 8 * GB), count()

    def more(now: float, waiting: int) -> list[Waiting]:
        # There is always more of it than can be done.
        return [Waiting(f"small {next(number)}", f"user {i % users}", GB, small, now) for i in range(2 * workers + 5 - waiting)]

    one = Waiting("large", "someone", memory * GB, large, 0.0)
    begun = play([one], capacity, {"someone": served}, more, until=2500)
    assert "large" in begun


@leisurely
@given(some.integers(1, 3), some.floats(1, 60), some.floats(0, 2000))
def test_one_run_does_not_stand_behind_the_hundred_of_somebody_else(workers, seconds, came) -> None:
    """However long those have been waiting."""
    hundred = [Waiting(f"{i}", "busy", GB, seconds, 0.0) for i in range(100)]
    begun = play([*hundred, Waiting("one", "other", GB, seconds, came)], Capacity(workers, 8 * GB))
    assert begun["one"] - came <= 2 * seconds


@leisurely
@given(some.lists(some.floats(0.1, 100), min_size=1, max_size=20, unique=True))
def test_of_one_users_runs_that_come_at_once_the_small_ones_go_first(sizes) -> None:
    begun = play([Waiting(f"{i}", "one", GB, seconds, 0.0) for i, seconds in enumerate(sizes)], Capacity(1, GB))
    first, *rest = sorted(begun, key=lambda run: begun[run])
    assert sizes[int(first)] == min(sizes)
    assert len(rest) == len(sizes) - 1


def test_a_run_that_wants_more_memory_than_there_is_goes_alone() -> None:
    huge, small = Waiting("huge", "a", 9 * GB, 1, 0), Waiting("small", "b", GB, 2, 0)
    capacity = Capacity(4, 8 * GB)
    assert choose([huge], [], {}, capacity, 0) is huge
    assert choose([huge], [Running("b", GB, 0, 1)], {}, capacity, 0) is None
    assert choose([huge, small], [Running("b", GB, 0, 1)], {}, capacity, 0) is small
    # In the end nothing slips past it.
    assert choose([huge, small], [Running("b", GB, 0, 1)], {"b": 500.0}, capacity, admit.PATIENCE + 1) is None


@leisurely
@given(runs(span=0.0), capacities, some.dictionaries(some.sampled_from("abc"), some.floats(0, 1000)))
def test_what_is_foreseen_is_what_happens_if_nothing_else_comes(arrivals, capacity, served) -> None:
    begun = play(arrivals, capacity, served)
    seen = foresee(arrivals, [], served, capacity, 0.0)
    assert {run: seconds for run, (_, seconds) in seen.items()} == {run: round(at, 1) for run, at in begun.items()}
    places = sorted(seen, key=lambda run: seen[run][0])
    assert [seen[run][0] for run in places] == list(range(1, len(arrivals) + 1))
    assert [begun[run] for run in places] == sorted(begun.values())


def test_runs_that_end_together_make_room_together() -> None:
    arrivals = [*(Waiting(f"{i}", "a", GB, 1.0, 0.0) for i in range(3)), Waiting("3", "b", 2 * GB, 1.0, 0.0)]
    served = {"b": 1.5}
    begun = play(arrivals, Capacity(2, 2 * GB), served)
    seen = foresee(arrivals, [], served, Capacity(2, 2 * GB), 0.0)
    assert begun["3"] == 1.0 and {run: seconds for run, (_, seconds) in seen.items()} == begun


def test_what_comes_after_those_that_are_foreseen_one_by_one_has_a_place_too() -> None:
    many = [Waiting(f"{i}", "a", GB, 1.0, 0.0) for i in range(500)]
    seen = foresee(many, [], {}, Capacity(2, 8 * GB), 0.0)
    assert sorted(place for place, _ in seen.values()) == list(range(1, 501))


def test_a_run_that_takes_longer_than_thought_is_foreseen_to_end_now() -> None:
    late = Running("a", GB, 0.0, 10.0)
    assert foresee([Waiting("next", "b", GB, 1.0, 0.0)], [late], {}, Capacity(1, GB), 50.0) == {"next": (1, 0.0)}
