"""The report in a real browser: light and dark, wide and narrow, and deaf to scripts. Needs chromium on PATH."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from roformer_conformance.report import document, write_pages

from ..conformance.results import SCRIPT, result

CHROMIUM = shutil.which("chromium") or ""
DARK = "--blink-settings=preferredColorScheme=0"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about a good implementation and one whose every text is a script."""
    folder = tmp_path_factory.mktemp("page")
    return write_pages([document(result()), document(result(SCRIPT, fails=True))], folder)[0]


def browse(page: Path, folder: Path, *options: str) -> str:
    """What the browser prints on the page."""
    alone = (f"--user-data-dir={folder / 'profile'}", "--headless", "--disable-gpu", "--hide-scrollbars")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [CHROMIUM, *alone, *sandbox, *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def picture(page: Path, folder: Path, width: int, *options: str) -> np.ndarray:
    """What one sees: (height, width, red green blue) from 0 to 1."""
    browse(page, folder, f"--window-size={width},2400", f"--screenshot={folder / 'page.png'}", *options)
    return imread(folder / "page.png")[..., :3]


def test_no_script_of_an_implementation_runs(page: Path, tmp_path: Path) -> None:
    """A name that would set the title is shown as a name, in the title too."""
    dom = browse(page, tmp_path, "--dump-dom")
    assert "<title>RoFormer conformance: mine, &lt;script&gt;" in dom


@pytest.mark.parametrize(("width", "options", "paper"), [(1200, (), 1.0), (400, (DARK,), 0.09)])
def test_the_page_fits_its_window_in_light_and_dark(
    page: Path, tmp_path: Path, width: int, options: tuple[str, ...], paper: float
) -> None:
    """Paper is as bright as it was asked for, there is ink on it, and nothing reaches over the right margin."""
    seen = picture(page, tmp_path, width, *options)
    assert seen.shape[1] == width
    background = seen[2, 2]
    assert abs(background.mean() - paper) < 0.02
    assert np.abs(seen - background).max() > 0.6
    assert np.array_equal(seen[:, -8:], np.broadcast_to(background, seen[:, -8:].shape))
