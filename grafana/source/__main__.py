"""Write each dashboard to grafana/dashboards."""

from pathlib import Path

from grafana.source.feeds import page as feeds
from grafana.source.market import page as market
from grafana.source.parts.dashboard import as_json
from grafana.source.pipeline import page as pipeline
from grafana.source.signals import page as signals
from grafana.source.social import page as social

FOLDER = Path(__file__).parents[1] / "dashboards"


def made() -> dict[str, str]:
    """Return what each file has to hold."""
    pages = {"market": market, "social": social, "signals": signals, "pipeline": pipeline, "feeds": feeds}
    return {f"{name}.json": as_json(module.page()) for name, module in pages.items()}


if __name__ == "__main__":
    for name, text in made().items():
        (FOLDER / name).write_text(text)
