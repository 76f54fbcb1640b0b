"""Reports as they are seen: opened from the disk in Chromium, at two widths, light and dark."""

import json
import os
import re
import shutil
from importlib.resources import files

import pytest
from conftest import run_s2s
from runs_to_see import save_runs, save_sweep

from seq2seq_cli.metrics import wilson_interval

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = (1280, 390)
PAGES = ("plain", "looking", "compared", "grid")
N_SAMPLES = "400"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two runs, the report of each, and that which compares them."""
    if CHROMIUM is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("there is no Chromium: apt-get install chromium")
    folder = tmp_path_factory.mktemp("seen")
    save_runs(folder / "runs")
    sizes = ["--n-samples", N_SAMPLES, "-q"]
    run_s2s("report", "--run", "plain", "--output", "plain.html", *sizes, cwd=folder)
    lengths = ["--run", "looking", "--lengths", "1-8"]
    run_s2s("report", *lengths, "--output", "looking.html", *sizes, cwd=folder)
    pair = ["--compare", "plain", "looking"]
    run_s2s("report", *pair, "--output", "compared.html", *sizes, cwd=folder)
    save_sweep(folder / "runs")
    run_s2s("report", "--sweep", "grid", "--output", "grid.html", "-q", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def chromium(folder):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def see(chromium, folder):
    """Return a function that opens a page, and holds it to asking for nothing and no complaint."""
    opened = []

    def open_page(name, width=1280, scheme="light"):
        page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        told, asked = [], []
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        address = (folder / f"{name}.html").as_uri()
        page.goto(address)
        opened.append((page, told, asked, address))
        return page

    yield open_page
    for page, told, asked, address in opened:
        page.close()
        assert told == []
        assert [url for url in asked if not url.startswith("data:")] == [address]


def rows_of(page, name):
    """Return the table of a chart's numbers as its browser has it, numbers as such."""
    cells = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    rows = page.eval_on_selector_all(f"#{name} tbody tr", cells)
    return [[number(cell) for cell in row] for row in rows]


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


def close(values):
    return pytest.approx(values, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_fits_and_every_drawing_is_seen(see, name, width):
    page = see(name, width)
    size = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert size == [width, width]
    page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    boxes = page.eval_on_selector_all(
        "figure svg", "all => all.map(one => [one.getBBox().width, one.clientWidth])"
    )
    assert len(boxes) == page.locator("figure").count() >= 2
    for inner, outer in boxes:
        assert inner > 100
        assert 200 < outer <= width


@pytest.mark.parametrize(
    ("name", "scheme", "are_open"),
    [
        ("plain", "light", True),
        ("looking", "dark", False),
        ("compared", "dark", True),
        ("grid", "light", True),
    ],
)
def test_axe_finds_nothing_amiss(see, name, scheme, are_open):
    page = see(name, 390, scheme)
    page.eval_on_selector_all("details", f"all => all.forEach(one => one.open = {are_open:d})")
    # Of a long table a few rows are enough, and all of them would take most of the test's time.
    page.eval_on_selector_all("tbody tr:nth-child(n+9)", "rows => rows.map(row => row.remove())")
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = page.evaluate("axe.run()")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    assert {"color-contrast", "image-alt"} & {one["id"] for one in found["passes"]}


def test_dark_and_light_are_each_legible(see):
    for scheme, is_dark in (("light", False), ("dark", True)):
        page = see("plain", 1280, scheme)
        ground = "getComputedStyle(document.body).backgroundColor"
        line = "getComputedStyle(document.querySelector('#loss svg path[stroke^=\"var\"]')).stroke"
        label = "getComputedStyle(document.querySelector('#loss svg text')).fill"
        assert (luminance(page.evaluate(ground)) < 0.1) == is_dark
        for colour in (line, label):
            pair = sorted(luminance(page.evaluate(one)) + 0.05 for one in (ground, colour))
            assert pair[1] / pair[0] > 3, (scheme, colour)
    page = see("plain", 1280, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.9


def luminance(colour):
    """Return the relative luminance of a colour, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", ["plain", "looking"])
def test_the_page_has_the_numbers_of_the_evaluation(see, folder, name):
    options = ["--run", name, "--n-samples", N_SAMPLES, "--json"]
    report = json.loads(run_s2s("evaluate", *options, cwd=folder).stdout)
    page = see(name)
    share = page.locator("#exact-match-share").text_content()
    assert share == f"{report['exact_match']:.2%}"
    positions = rows_of(page, "positions")
    assert [row[0] for row in positions] == list(range(1, len(positions) + 1))
    assert [row[1] for row in positions] == close(report["position_accuracy"])
    for _, share, low, high, n in positions:
        assert (low, high) == close(wilson_interval(round(share * n), int(n)))
    if name == "looking":
        by_length = {str(int(row[0])): row[1] for row in rows_of(page, "lengths")}
        assert by_length == close(report["length_accuracy"])
    shown = page.eval_on_selector_all(
        "[aria-label='Spot checks'] tbody tr",
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))",
    )
    for row, example in zip(shown, report["examples"], strict=True):
        assert row[0].split() == list(map(str, example["source"]))
        assert row[1].split() == list(map(str, example["target"]))
        assert [token.strip("!") for token in row[2].split()] == list(
            map(str, example["predicted"])
        )
        assert row[3] == ("right" if example["target"] == example["predicted"] else "wrong")
