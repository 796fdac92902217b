"""`tickertape dashboards`: the files that Grafana and Prometheus read, from wherever the package is installed."""

from pathlib import Path

from tickertape.stream.command_line.cli import cli

ROOT = Path(__file__).parents[2]


def test_all_of_them_are_written(tmp_path: Path) -> None:
    command = cli.commands["dashboards"]
    with command.make_context("dashboards", ["--out", str(tmp_path)]) as context:
        command.invoke(context)
    for name in ("grafana/dashboards", "grafana/provisioning", "prometheus"):
        expected = {path.relative_to(ROOT): path.read_bytes() for path in (ROOT / name).rglob("*") if path.is_file()}
        found = {p.relative_to(tmp_path): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        assert found == expected
