"""The arithmetic of docs/capacity.md follows from its constants, and these from the benchmarks."""

import re

import pytest

from docs.site.capacity import PAGE, derived, formulas, given, shown, written

TEXT = PAGE.read_text()
BENCHMARKS = (PAGE.parent / "benchmarks.md").read_text()
SMALL = """
| name | value | what |
| --- | ---: | --- |
| `event_us` | 2.5 | CPU of an event, µs |
| `events` | 1,000,000 | events a second |

| name | formula | value | what |
| --- | --- | ---: | --- |
| `cores` | `events * event_us / 1e6` | 2.5 | cores |
| `machines` | `ceil(cores / 2)` | 2 | of two cores |
"""


def test_a_small_page() -> None:
    assert given(SMALL) == {"event_us": 2.5, "events": 1e6}
    assert derived(SMALL) == {"cores": 2.5, "machines": 2.0}
    assert derived(SMALL, {"events": 2_000_000}) == {"cores": 5.0, "machines": 3.0}
    assert written(SMALL) == SMALL
    with pytest.raises(KeyError, match="no constant or input 'evnets'"):
        derived(SMALL, {"evnets": 1})


def test_a_stale_figure_is_found() -> None:
    changed = SMALL.replace("| 2.5 | CPU", "| 4.1 | CPU")
    assert written(changed) != changed
    assert "| `cores` | `events * event_us / 1e6` | 4.1 | cores |" in written(changed)
    assert "| `machines` | `ceil(cores / 2)` | 3 | of two cores |" in written(changed)


@pytest.mark.parametrize(
    ("value", "text"), [(0.012345, "0.0123"), (12.345, "12.3"), (999.6, "1,000"), (1234567.8, "1,234,568"), (7.0, "7")]
)
def test_values_are_shown_with_three_digits(value: float, text: str) -> None:
    assert shown(value) == text


def test_the_figures_of_the_page_follow_from_its_tables() -> None:
    """If this fails: ``python -m docs.site.capacity --write``, and read the text beside them again."""
    assert written(TEXT) == TEXT


def test_every_name_is_used_and_has_one_value() -> None:
    names = [*given(TEXT), *formulas(TEXT)]
    assert len(re.findall(r"^\| `", TEXT, re.MULTILINE)) == len(set(names)) == len(names)
    used = {word for formula in formulas(TEXT).values() for word in re.findall(r"[a-z_]+", formula)}
    assert set(given(TEXT)) - used == {"slice_us"}


def cells(row: str) -> list[str]:
    """Return the cells of a row of the benchmarks after its name."""
    (line,) = re.findall(rf"^\| {row}[^|]*\|(.*)\|$", BENCHMARKS, re.MULTILINE)
    return [cell.strip().replace(",", "") for cell in line.split("|")]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("slice_us", "Tickertape, slices only"),
        ("bar_us", "Tickertape, slices and bars of five resolutions"),
        ("bundle_bar_us", "slices and bars of five resolutions, bundles"),
    ],
)
def test_times_are_those_of_the_benchmarks(name: str, row: str) -> None:
    median_by_cpu = float(cells(row)[3])
    assert given(TEXT)[name] == pytest.approx(1e6 / median_by_cpu, rel=0.005)


@pytest.mark.parametrize(("name", "row"), [("symbol_kib", "trades and their bars"), ("symbol_mix_kib", "every agent")])
def test_memory_is_that_of_the_benchmarks(name: str, row: str) -> None:
    peak_mib = float(cells(row)[0])
    assert given(TEXT)[name] == pytest.approx((peak_mib - given(TEXT)["worker_mib"]) * 1024 / 10_000, rel=0.01)


@pytest.mark.parametrize(("name", "column", "each"), [("lane_send_us", 0, 256), ("lane_read_us", 1, 100)])
def test_fan_out_is_that_of_the_page_on_scaling(name: str, column: int, each: int) -> None:
    scaling = (PAGE.parent / "scaling.md").read_text()
    (line,) = re.findall(r"^\| one record for each worker and shard \|(.*)\|$", scaling, re.MULTILINE)
    percent = float(line.split("|")[column].strip().removesuffix("%"))
    assert given(TEXT)[name] == pytest.approx(percent / 100 / each * 1e6, rel=0.01)
