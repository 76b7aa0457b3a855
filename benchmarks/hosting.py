"""Figures: what the embedded sidecar adds to actors, whose app answers at once."""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.client import FROM_CLIENT, request_bytes
from benchmarks.messages import Remind, Reminded, Saturate, Saturated
from benchmarks.processes import Agent, BenchmarkError, Server, cpu_seconds
from benchmarks.publish import sidecar
from benchmarks.reminding import KIND
from benchmarks.table import Figure, Section, at_least, at_most

CALLERS, IDS = 32, 50
REMINDERS, LEAD, SPREAD = 10_000, 12.0, 10.0


def measure(agent: Agent, *, rounds: int, seconds: float) -> Section:
    """Call actors as fast as they answer, then set reminders that are due soon."""
    with tempfile.TemporaryDirectory() as folder, sidecar(Path(folder), agent.actor_port) as server:
        figures = [*_calls(agent, server, rounds, seconds), *_reminders(agent, server)]
    return Section("Actors behind the embedded sidecar, whose app answers at once", figures)


def _calls(agent: Agent, server: Server, rounds: int, seconds: float) -> Iterator[Figure]:
    requests = [
        request_bytes(f"/v1.0/actors/{KIND}/{number}/method/up", b"1", FROM_CLIENT)
        for number in range(IDS)
    ]
    rates: list[float] = []
    costs: list[float] = []
    for number in range(rounds + 1):
        before = cpu_seconds(server.pid)
        order = Saturate(server.port, requests[0], CALLERS, seconds, others=tuple(requests[1:]))
        done = agent.carry_out(order)
        if not isinstance(done, Saturated) or done.failures:
            raise BenchmarkError(f"a call of an actor failed: {done}")
        if number:  # the first round activates
            rates.append(done.answers / done.seconds)
            calls = done.answers * (1 + order.warm_up / seconds)
            costs.append((cpu_seconds(server.pid) - before) / calls)
    spent = f"{statistics.median(costs) * 1e6:.0f} µs of the sidecar's processor time each"
    name = f"calls, {CALLERS} callers, {IDS} ids"
    yield Figure(name, statistics.median(rates), "calls/s", at_least(3000), spent)


def _reminders(agent: Agent, server: Server) -> Iterator[Figure]:
    done = agent.carry_out(Remind(server.port, REMINDERS, CALLERS, LEAD, SPREAD))
    if not isinstance(done, Reminded) or done.failures or not done.lateness:
        raise BenchmarkError(f"a reminder could not be set: {done}")
    if done.registered_seconds > LEAD:
        took = f"{done.registered_seconds:.1f} s"
        raise BenchmarkError(f"setting {REMINDERS:,} reminders took {took}; some were due by then")
    note = f"of {REMINDERS:,} due within {SPREAD:g} s"
    rate = f"set at {REMINDERS / done.registered_seconds:,.0f}/s"
    late = sorted(done.lateness)
    p99 = late[len(late) * 99 // 100] * 1000
    yield Figure("reminders, p99 late", p99, "ms", at_most(250), f"{note}, {rate}")
    yield Figure("early", sum(each < 0 for each in late), "ticks", at_most(0), note)
    yield Figure("lost", REMINDERS - len(late), "ticks", at_most(0), note)
    yield Figure("doubled", done.ticks - len(late), "ticks", at_most(0), note)
