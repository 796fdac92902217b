"""The table, the page and the chart."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bench.peers import chart, record, report
from bench.peers.record import Record, Result, Turn

SVG = "{http://www.w3.org/2000/svg}"
PAGE = f"# Benchmarks\n\nBefore.\n\n{report.BEGIN}\nold\n{report.END}\n\nAfter.\n"


def turn(number: int, wall: float, cpu: float, faults: int = 0) -> Turn:
    return Turn(number, wall, cpu, load=1.5, expected=200, right=190 - faults, withheld=10, faults=faults)


def measured() -> Record:
    found = Record("2026-01-02", "2 cores", 1000)
    found.results["plain loop"] = Result("A loop.", "first record", 1000)
    # The machine was half as fast in the last round.
    found.results["plain loop"].turns = [turn(0, 400.0, 500.0), turn(1, 410.0, 510.0), turn(2, 200.0, 250.0)]
    found.results["Engine & Co"] = Result("An engine.", "submission", 300, version="1.2, Java 17")
    found.results["Engine & Co"].turns = [turn(0, 90.0, 100.0), turn(2, 45.0, 50.0)]
    found.results["Tickertape"] = Result("Ours.", "first record", 1000)
    found.results["Tickertape"].turns = [turn(0, 900.0, 1000.0), turn(1, 950.0, 1020.0), turn(2, 500.0, 750.0)]
    found.results["Absent"] = Result("Not here.", "first record", 500, version="", missing="there is no java")
    return found


def test_the_fastest_is_first_and_who_did_not_run_is_named_with_the_reason() -> None:
    assert report.rows(measured()) == [
        ["Tickertape", "1,000", "3", "950", "900", "1,020", "1,000", "2 ×", "190 of 200"],
        ["plain loop", "1,000", "3", "410", "400", "510", "500", "1 ×", "190 of 200"],
        ["Engine & Co 1.2, Java 17", "300", "2", "90", "68", "100", "75", "0.2 ×", "190 of 200"],
        ["Absent", "not run: there is no java", "", "", "", "", "", "", ""],
    ]


def test_ratios_are_within_rounds() -> None:
    # Of rounds 0 and 2 each, though its median is three twentieths of the plain loop's.
    assert report.of_plain(measured(), "Engine & Co") == pytest.approx(0.2)
    assert report.of_plain(measured(), "Absent") is None


def test_a_wrong_row_fails_the_run_and_a_missing_contestant_does_not() -> None:
    found, quiet = measured(), Console(quiet=True)
    assert report.show(quiet, found)
    found.results["Engine & Co"].turns[1].faults = 2
    assert not report.show(quiet, found)
    assert report.rows(found)[2][-1] == "190 of 200, 2 WRONG"


def test_an_engine_that_comes_too_near_fails_the_run() -> None:
    found, quiet = measured(), Console(quiet=True)
    # Ours had 1,020 at best.
    found.results["Engine & Co"].turns[0].cpu = 340.0
    assert report.show(quiet, found)
    found.results["Engine & Co"].turns[0].cpu = 341.0
    assert report.too_near(found) == ["Engine & Co"]
    assert not report.show(quiet, found)


def test_the_page_gets_the_table_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(PAGE)
    for _ in range(2):
        report.write(measured(), tmp_path)
    text = page.read_text()
    assert text.startswith(f"# Benchmarks\n\nBefore.\n\n{report.BEGIN}\n")
    assert text.endswith(f"{report.END}\n\nAfter.\n")
    assert "old" not in text
    assert "| Engine & Co 1.2, Java 17 | 300 | 2 | 90 | 68 | 100 | 75 | 0.2 × | 190 of 200 |\n" in text
    assert "3 rounds, 2026-01-02, 2 cores; load average 1.5 to 1.5 when a turn began." in text
    assert "- **Absent**, from the first record on. Not here.\n" in text
    assert record.load(tmp_path / "peers.json") == measured()


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n")
    with pytest.raises(SystemExit, match="has no lines"):
        report.write(measured(), tmp_path)
    assert page.read_text() == "# Benchmarks\n"


def test_the_chart_has_a_bar_as_long_as_its_value() -> None:
    root = ElementTree.fromstring(chart.svg("Rates", report.bars(measured())))
    bars = root.findall(f"{SVG}rect")
    assert [bar.get("class") for bar in bars] == ["bar ours", "bar", "bar"]
    # 470 of 760 units are for the longest.
    assert [float(bar.get("width", "0")) for bar in bars] == pytest.approx([470.0, 235.0, 35.2], abs=0.06)
    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert texts == ["Rates", "Tickertape", "1,000", "plain loop", "500", "Engine & Co", "75"]


def test_the_chart_follows_the_colours_of_the_reader() -> None:
    assert "prefers-color-scheme:dark" in chart.svg("Rates", [("one", 1.0)])


@pytest.mark.parametrize("name", ["benchmarks.md", "peers.svg"])
def test_docs_show_what_was_kept(name: str, tmp_path: Path) -> None:
    for each in (report.PAGE, report.CHART):
        (tmp_path / each).write_text((report.DOCS / each).read_text())
    report.write(record.load(report.DOCS / report.KEPT), tmp_path)
    assert (tmp_path / name).read_text() == (report.DOCS / name).read_text()
