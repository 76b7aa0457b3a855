"""The comparison's page: medians, ratios, what is worse and what is missing."""

from benchmarks.compare import page
from benchmarks.compare.results import TIMES, Comparison, Curve, Group, Row

RATES = Group(
    "delivery",
    "events/s",
    [
        Row("daprflow", [200.0, 210.0, 190.0]),
        Row("slower", [100.0, 105.0, 95.0]),
        Row("faster", [400.0, 420.0, 380.0]),
        Row("absent", note="its environment could not be made: no network"),
    ],
)
COSTS = Group("import", "ms", [Row("daprflow", [10.0]), Row("heavy", [40.0])], more=False)
GROWTH = Curve(
    "start",
    "ms",
    "handlers",
    {"daprflow": {1: [50.0], 1_000: [100.0]}, "peer": {1: [40.0], 1_000: [900.0, 800.0, 1_000.0]}},
    more=False,
    notes={"absent": "it failed: refused"},
)


def test_a_rate_is_better_where_there_is_more_of_it() -> None:
    """A row tells its median, its spread, and how many times better daprflow is."""
    lines = page.group(RATES)
    assert lines[2] == "| **daprflow** | 200 | 190 to 210 |  |"
    assert lines[3] == f"| slower | 100 | 95 to 105 | 2 {TIMES} |"


def test_what_is_worse_is_bold() -> None:
    """A contender that is better than daprflow is marked in the table."""
    assert page.group(RATES)[4] == f"| faster | 400 | 380 to 420 | **0.5 {TIMES}** |"


def test_a_cost_is_better_where_there_is_less_of_it() -> None:
    """Of milliseconds fewer are better, so the ratio is the other way round."""
    assert page.group(COSTS)[3] == f"| heavy | 40 | 40 to 40 | 4 {TIMES} |"


def test_a_missing_contender_stays_in_the_table() -> None:
    """What could not be measured is said where its figures would stand."""
    said = "| absent | | | its environment could not be made: no network |"
    assert page.group(RATES)[5] == said
    assert "| absent | it failed: refused | |" in page.curve(GROWTH)


def test_a_curve_has_a_column_for_each_size() -> None:
    """Sizes are columns; several rounds give a spread."""
    lines = page.curve(GROWTH)
    assert lines[0] == "| Start, ms, by handlers | 1 | 1,000 |"
    assert lines[3] == "| peer | 40 | 900 (800 to 1,000) |"


def test_a_contender_is_compared_with_its_own_kind() -> None:
    """A row names what it stands beside: our app on the same sidecar."""
    rows = [Row("daprflow", [8.0]), Row("daprflow, daprd", [4.0], "")]
    other = Row("peer, daprd", [2.0], "daprflow, daprd")
    assert Group("flow", "events/s", [*rows, other]).advantage(other) == 2.0


def test_a_curve_is_compared_with_its_own_kind() -> None:
    """Of several curves of ours the one of the same kind counts."""
    ours = {"daprflow, in memory": {1: [10.0]}, "daprflow, SQLite": {1: [1.0]}}
    curve = Curve("get", "calls/s", "keys", ours | {"daprd, SQLite": {1: [4.0]}})
    assert list(curve.behind()) == [f"daprd, SQLite (get, 1 keys: 0.25 {TIMES})"]


def test_a_section_sums_up_what_is_worse() -> None:
    """Below the tables stands everything that others do better, and what was left out."""
    done = Comparison("delivery", "Events", "About.", [RATES, COSTS, GROWTH], ["no Redis"])
    text = page.section(done, "Measured today.", ["images/benchmarks-delivery.svg"])
    assert f"**Behind:** daprflow is worse than faster (delivery: 0.5 {TIMES}).\n" in text
    assert "Not measured: no Redis.\n" in text
    assert text.endswith("*Measured today.*")
    assert "](images/benchmarks-delivery.svg)" in text


def test_a_section_without_losses_says_so() -> None:
    """Nothing that is worse is also said."""
    done = Comparison("start-up", "Start-up", "About.", [COSTS])
    assert "**Behind:** nothing that was measured here." in page.section(done, "", [])


def test_a_contender_that_answers_nothing_is_no_loss() -> None:
    """A rate of nothing can be divided by nobody."""
    points = {"daprflow, SQLite": {1: [4.0]}, "daprd, SQLite": {1: [0.0, 0.0]}}
    curve = Curve("set", "calls/s", "keys", points)
    assert list(curve.behind()) == []
    assert page.curve(curve)[3] == "| daprd, SQLite | 0 (0 to 0) |"
