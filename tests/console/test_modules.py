"""What the page's modules compute, in a browser; expected values are worked out by hand."""

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def run(page: Page, files: str, body: str) -> Any:
    """Run a function's body in the page; `load(path)` imports a module."""
    page.goto(f"{files}/empty")
    return page.evaluate(f"async () => {{ const load = (path) => import(`/script/${{path}}`); {body} }}")


def test_of_the_results_of_a_window_the_highest_final_and_revision_counts(page: Page, files: str) -> None:
    found = run(
        page,
        files,
        """
        const { Series } = await load("live/series.js");
        const series = new Series(3);
        const at = (start_ms, final, revision, corrected) => ({ start_ms, final, revision, corrected });
        const said = [
          series.add(at(1000, false, 5)), series.add(at(1000, false, 4)), series.add(at(1000, true, 3)),
          series.add(at(1000, false, 9)), series.add(at(3000, false, 1)), series.add(at(2000, true, 1)),
          series.add(at(1000, true, 6, true)), series.add(at(4000, false, 1)),
        ];
        return [said, series.results.map((one) => [one.start_ms, one.final, one.revision]), series.cut];
        """,
    )
    assert found == [
        ["newer", "", "newer", "", "newer", "older", "older", "newer"],
        [[2000, True, 1], [3000, False, 1], [4000, False, 1]],
        True,
    ]


def test_places_without_results_are_empty_and_long_gaps_are_cut(page: Page, files: str) -> None:
    found = run(
        page,
        files,
        """
        const { emptyPlaces, gapsIn } = await load("chart/points.js");
        return [emptyPlaces(1000, 2000, 1000), emptyPlaces(1000, 4000, 1000), emptyPlaces(0, 1e9, 1000).length,
                gapsIn([{ start_ms: 0 }, { start_ms: 1000 }, { start_ms: 4000 }, { start_ms: 5000 }], 1000)];
        """,
    )
    assert found == [[], [2, 3], 90, 1]


def test_a_filter_takes_words_and_conditions_and_rows_without_a_value_come_last(page: Page, files: str) -> None:
    found = run(
        page,
        files,
        """
        const { orderOf } = await load("list/order.js");
        const symbols = ["BTC-USD", "ETH-USD", "SOL-USD"];
        const columns = [{ name: "change", format: "percent" }, { name: "rsi", format: "number" }];
        const values = { change: [0.02, -0.01, 0.005], rsi: [70, null, 30] };
        const board = { symbols, columns, values, row: (name) => symbols.indexOf(name),
          column: (name) => columns.find((one) => one.name === name) };
        const order = (find, sort) => orderOf(board, { list: "", find, sort });
        return [order("", "-rsi"), order("", "rsi"), order("change>0.4", "symbol"), order("s rsi<=30", "symbol"),
          order("nothing>1", "symbol"), order("", "-symbol")];
        """,
    )
    assert found == [[0, 2, 1], [2, 0, 1], [0, 2], [2], [], [2, 1, 0]]


def test_numbers_are_told_with_six_digits_and_a_real_minus(page: Page, files: str) -> None:
    found = run(
        page,
        files,
        """
        const { price, number, percent, signed } = await load("look/format.js");
        return [price(60214.84), price(0.0998), number(1234567), number(-0.00112), percent(-0.0123), signed(0),
          number(null)];
        """,
    )
    assert found == ["60,214.8", "0.0998000", "1.23M", "−0.00112", "−1.23 %", "0.00", "\u2013"]


def test_what_happened_is_told_from_one_state_to_the_next(page: Page, files: str) -> None:
    found = run(
        page,
        files,
        """
        const { changes } = await load("pipeline/store.js");
        const part = (topic, partition, owner) => ({ key: `${topic}-${partition}`, topic, owner });
        const first = part("trades", 0, "box-0");
        const before = { workers: [{ name: "box-0" }, { name: "box-1" }],
          inputs: [first, part("trades", 1, "box-1")], shards: [part("slices", 0, "box-1")] };
        const after = { workers: [{ name: "box-0" }],
          inputs: [first, part("trades", 1, "box-0"), part("trades", 2, "box-0")],
          shards: [part("slices", 0, "box-0")] };
        return [...changes(before, after)];
        """,
    )
    assert found == [
        "worker-1 left the group",
        "worker-0 took over 1 partition of trades",
        "worker-0 took over 1 shard",
        "trades has 1 more partitions",
    ]
