"""The documentation as a site: every page is made, every public name is described, and a broken link is an error."""

import subprocess
import sys
from pathlib import Path

import pytest

import tickertape
from docs.site import metrics, reference
from docs.site.__main__ import pages
from tickertape import testing

ROOT = Path(__file__).parents[1]
CONF = ROOT / "docs" / "site"


def sphinx(source: Path, html: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", CONF, source, html]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "docs.site", folder]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder / "html"


@pytest.mark.xdist_group("docs")
def test_the_site_has_every_page(html: Path) -> None:
    assert [page for page in pages() if not (html / page).with_suffix(".html").is_file()] == []


@pytest.mark.xdist_group("docs")
def test_each_public_name_is_described(html: Path) -> None:
    page = (html / "reference.html").read_text()
    names = [f"tickertape.{name}" for name in tickertape.__all__]
    names += [f"tickertape.testing.{name}" for name in testing.__all__]
    assert [name for name in names if f'id="{name}"' not in page] == []


def test_each_public_name_is_in_one_group() -> None:
    grouped = [name for names in reference.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(tickertape.__all__)


def test_a_metric_has_a_page_with_all_of_its_fields() -> None:
    made = metrics.pages()
    for output in metrics.outputs():
        page = made[f"results/{output.name.replace('/', '-')}.md"]
        rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
        assert [row[0].strip("| `") for row in rows] == list(output.result.__struct_fields__), output.name
        assert [row[0] for row in rows if not row[2].strip()] == [], output.name


@pytest.mark.parametrize("link", ["[there](nowhere.md)", "[there](index.md#nowhere)", "[there](nowhere.txt)"])
def test_a_broken_link_is_an_error(link: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "index.md").write_text(f"# Title\n\n{link}\n")
    done = sphinx(tmp_path / "source", tmp_path / "html")
    assert done.returncode != 0
    assert "nowhere" in done.stderr
