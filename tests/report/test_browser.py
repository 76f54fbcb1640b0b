"""Reports opened from the disk in Chromium, at two widths, light and dark."""

import json
import os
import re
import shutil
from importlib.resources import files

import pytest
from sample_runs import save_runs, save_sweep

from seq2seq_cli.cli.commands.report import report
from seq2seq_cli.cli.rendering.evaluation import evaluation_as_json
from seq2seq_cli.data.vocabulary import one_hot_encode
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.inference.greedy import predict_sequence
from seq2seq_cli.inference.loading import load_run
from seq2seq_cli.metrics import percent, wilson_interval
from seq2seq_cli.prediction import predict
from seq2seq_cli.reports.steps import probability
from seq2seq_cli.settings import parse_config

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SEEDS = [f"a-run-with-a-rather-long-name-seed-{seed}" for seed in range(4)]
PAGES = {
    "plain": {"run": "plain"},
    "looking": {"run": "looking", "lengths": "1-8"},
    "compared": {"names": [*SEEDS, "plain", "looking"], "compare": True},
    "grid": {"sweep": "grid"},
}
N_SAMPLES = 400
CLIPPED = """() => [...document.querySelectorAll("figure svg text")].filter(text => {
    const inner = text.getBoundingClientRect();
    const outer = text.ownerSVGElement.getBoundingClientRect();
    return inner.left < outer.left - 1 || inner.right > outer.right + 1
        || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
}).map(text => text.textContent)"""
"""The texts of drawings that are not wholly inside their drawing."""
UNTITLED = """() => [...document.querySelectorAll("figure")].filter(figure => {
    if (!figure.checkVisibility()) return false;
    const titles = figure.querySelectorAll("svg title");
    if (!titles.length) return true;
    const mark = titles[titles.length - 1].parentNode;
    mark.scrollIntoView({block: "center"});
    const { left, top, width, height } = mark.getBoundingClientRect();
    return !document.elementFromPoint(left + width / 2, top + height / 2).querySelector("title");
}).map(figure => figure.id)"""
"""The visible figures whose last mark has no title where the mouse is over it."""


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory):
    runs_dir = save_runs(tmp_path_factory.mktemp("seen") / "runs", *SEEDS)
    save_sweep(runs_dir)
    return runs_dir


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page_of(chromium, runs_dir):
    """Return a function that opens a report, which may request nothing and log nothing."""
    opened = []

    def open_page(name, scheme="light"):
        file = runs_dir / f"{name}.html"
        if not file.exists():
            n_samples = None if name == "grid" else N_SAMPLES
            options = {"run": None, **PAGES[name], "n_samples": n_samples}
            report(**options, file=file, runs_dir=runs_dir, quiet=True)
        page = chromium.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        logged, requested = [], []
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("request", lambda request: requested.append(request.url))
        page.goto(file.as_uri())
        opened.append((page, logged, requested, file.as_uri()))
        return page

    yield open_page
    for page, logged, requested, address in opened:
        page.close()
        assert logged == []
        assert [url for url in requested if not url.startswith("data:")] == [address]


def cells_of(page, selector):
    """Return the texts of a table's cells, row by row."""
    texts = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    return page.eval_on_selector_all(f"{selector} tbody tr", texts)


@pytest.mark.parametrize(
    ("name", "scheme", "are_open"),
    [
        ("plain", "light", True),
        ("looking", "dark", False),
        ("compared", "dark", True),
        ("grid", "light", True),
    ],
)
def test_a_page_fits_and_is_accessible(page_of, name, scheme, are_open):
    page = page_of(name, scheme)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for is_open in (not are_open, are_open):
            page.eval_on_selector_all("details", f"all => all.map(one => one.open = {is_open:d})")
            size = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
            assert size == [width, width]
        boxes = page.eval_on_selector_all(
            "figure svg", "all => all.map(one => [one.getBBox().width, one.clientWidth])"
        )
        assert len(boxes) == page.locator("figure").count() >= 2
        for inner, outer in boxes:
            assert inner > 100
            assert 200 < outer <= width
        assert page.evaluate(CLIPPED) == []
        assert page.evaluate(UNTITLED) == []
    # Of a long table a few rows are enough, and all of them would take most of the test's time.
    page.eval_on_selector_all("tbody tr:nth-child(n+9)", "rows => rows.map(row => row.remove())")
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    result = page.evaluate("axe.run()")
    assert [(one["id"], one["nodes"][0]["html"]) for one in result["violations"]] == []
    assert {"color-contrast", "image-alt"} & {one["id"] for one in result["passes"]}


def test_dark_and_light_are_each_legible(page_of):
    page = page_of("plain")
    ground = "getComputedStyle(document.body).backgroundColor"
    line = "getComputedStyle(document.querySelector('#loss svg path[stroke^=\"var\"]')).stroke"
    label = "getComputedStyle(document.querySelector('#loss svg text')).fill"
    for scheme, is_dark in (("light", False), ("dark", True)):
        page.emulate_media(color_scheme=scheme)
        assert (luminance(page.evaluate(ground)) < 0.1) == is_dark
        for colour in (line, label):
            pair = sorted(luminance(page.evaluate(one)) + 0.05 for one in (ground, colour))
            assert pair[1] / pair[0] > 3, (scheme, colour)
    page.emulate_media(media="print", color_scheme="dark")
    assert luminance(page.evaluate(ground)) > 0.9


def luminance(colour):
    """Return the relative luminance of a colour, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", ["plain", "looking"])
def test_the_page_has_the_numbers_of_the_evaluation(page_of, runs_dir, name):
    page = page_of(name)
    evaluation = evaluation_as_json(evaluate(load_run(name, runs_dir), N_SAMPLES))
    ends = evaluation["exact_match_low"], evaluation["exact_match_high"]
    share = page.locator("#exact-match-share").text_content()
    assert share == percent(evaluation["exact_match"], *ends)
    positions = cells_of(page, "#positions")
    for number, share in enumerate(evaluation["position_accuracy"]):
        n = int(positions[number][-1])
        ends = wilson_interval(round(share * n), n)
        shares = [percent(value, *ends) for value in (share, *ends)]
        assert positions[number] == [str(number + 1), *shares, str(n)]
    if name == "looking":
        assert {int(row[0]): float(row[1][:-1]) / 100 for row in cells_of(page, "#lengths")} == {
            length: pytest.approx(share, abs=0.006)
            for length, share in evaluation["length_accuracy"].items()
        }
    expected = [
        [
            *(" ".join(map(str, example[key])) for key in ("source", "target", "predicted")),
            "right" if example["target"] == example["predicted"] else "wrong",
        ]
        for example in evaluation["examples"]
    ]
    shown = cells_of(page, "[aria-label='Spot checks']")
    assert [[cell.replace("!", "") for cell in row] for row in shown] == expected


def step_shown(page):
    """Return what the stepper shows: its sentence, the tokens with their shares, the source."""
    said = page.locator("#said").text_content()
    ranked = [(name, text.split()[0]) for name, _, text in rows_of(page, "ranked")]
    source = page.locator("#source .cell").evaluate_all(
        "cells => cells.map(cell => [cell.firstChild.data, cell.querySelector('small')?.innerText])"
    )
    return said, ranked, source


def rows_of(page, name):
    texts = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    return page.locator(f"#{name} tr").evaluate_all(texts)


@pytest.mark.parametrize("name", ["plain", "looking"])
def test_the_steps_are_those_of_the_model_and_follow_the_keys(page_of, runs_dir, name):
    run, page = load_run(name, runs_dir), page_of(name)
    cardinality = run.config.task.cardinality
    for number, sequence in enumerate(json.loads(page.locator("#steps").text_content())):
        page.select_option("#sequence", str(number))
        page.focus("#step")
        source = sequence["source"]
        (predicted,) = predict(run, [source], attention=True)
        ids = {"start": 0, "end": cardinality}
        tokens = [*map(str, predicted.target), "end"][: sequence["n"]]
        one_hot = one_hot_encode([source], cardinality)
        shares = predict_sequence(run.encoder, run.decoder, one_hot, len(tokens), cardinality)
        shown = []
        for t, token in enumerate(tokens):
            shown.append(step_shown(page))
            said, ranked, cells = shown[-1]
            read = tokens[t - 1] if t else "start"
            assert said.startswith(f"Step {t + 1} of {len(tokens)}")
            assert f"reads {read}, chooses {token}, " in said
            assert "as expected" in said or "is expected" in said
            for other, share in ranked:
                assert share == probability(shares[t, int(ids.get(other, other))])
            assert token in dict(ranked)
            assert [cell for cell, _ in cells] == list(map(str, source))
            if name == "looking" and token != "end":
                for weight, (_, share) in zip(predicted.attention[t], cells, strict=True):
                    assert share == (probability(weight, 0) if weight >= 0.01 else None)
            elif name == "plain":
                assert len(rows_of(page, "units")) == 5
            page.keyboard.press("ArrowRight")
        assert step_shown(page) == shown[-1]  # there is no further step
        assert page.locator("#after").is_disabled()
        for key, t in (("Home", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("End", -1)):
            page.keyboard.press(key)
            assert step_shown(page) == shown[t]
        page.locator("#target button").first.click()
        assert step_shown(page) == shown[0]
        page.get_by_role("button", name="Next").click()
        assert step_shown(page) == shown[1] != shown[0]
        assert page.locator("#target [aria-current]").count() == 1


def test_long_sequences_are_shown_around_the_step_and_the_largest_attention(page_of):
    step = {"read": "1", "chosen": "2", "expected": "3", "ranked": [["2", "50.00%"]]}
    step["attention"] = [[3, "1%"], [79, "9%"]]
    sequence = {"source": [*range(1, 101)], "first": 11, "n": 400, "steps": [step] * 90}
    page = page_of("looking")
    page.evaluate(
        """sequence => {
            document.getElementById("steps").textContent = JSON.stringify([sequence]);
            const again = document.createElement("script");
            again.type = "module";
            again.textContent = document.querySelector("script[type=module]").textContent;
            document.body.append(again);
        }""",
        sequence,
    )
    page.get_by_text("Step 11 of 400").wait_for()
    shown = page.locator("#source .cell").all_text_contents()
    assert [int(text.removesuffix("9%") if "%" in text else text) for text in shown] == [
        *range(41, 101)
    ]
    notes = page.locator(".cells > small")
    assert notes.all_text_contents() == ["tokens 11 to 70 of 400:", "tokens 41 to 100 of 100:"]
    page.focus("#step")
    page.keyboard.press("End")
    assert page.locator("#said").text_content().startswith("Step 100 of 400")
    assert notes.first.text_content() == "tokens 41 to 100 of 400:"
    assert page.locator("#target .cell").count() == 60


def test_without_scripts_the_steps_are_a_table(chromium, page_of, runs_dir):
    page_of("plain")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((runs_dir / "plain.html").as_uri())
    assert not page.locator("#stepper").is_visible()
    assert not page.locator("button.copy").first.is_visible()
    assert page.locator("#step-by-step table:visible tbody tr").count() == 4 * 3
    context.close()


def test_settings_and_commands_are_copied(page_of, runs_dir):
    page = page_of("plain")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_text("All settings, config.toml").click()
    page.get_by_role("button", name="Copy the settings").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert parse_config(copied, "page") == load_run("plain", runs_dir).config
    page.evaluate("navigator.clipboard.writeText = () => Promise.reject(), 0")
    page.get_by_role("button", name="Copy the command", exact=True).click()
    page.get_by_role("button", name="Selected").wait_for()
    assert page.evaluate("String(getSelection())") == "s2s train --config config.toml"
