"""Write each dashboard to grafana/dashboards."""

from pathlib import Path

from grafana.source import market, pipeline
from grafana.source.dashboard import as_json

FOLDER = Path(__file__).parents[1] / "dashboards"


def made() -> dict[str, str]:
    """Return what each file has to hold."""
    return {"market.json": as_json(market.page()), "pipeline.json": as_json(pipeline.page())}


if __name__ == "__main__":
    for name, text in made().items():
        (FOLDER / name).write_text(text)
