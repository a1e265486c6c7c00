"""The page in a real browser: play, pause, levers, reset, two worlds, finished runs, bad input, no errors anywhere.

Screenshots are kept in ``out/app``. Without Chromium or the extra ``app`` these tests are skipped.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scenarios.cli import main
from scenarios.results import open_run

pytest.importorskip("solara", reason="the page needs the extra app")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.xdist_group("browser"),
]

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "out" / "app"
MARKET = """
title: A small market
description: Fourteen owners.
seed: 5
horizon: 14
population:
  initial: 14
  arrival_rate: 1
  strategies: [{name: honest, share: 4}, {name: misreport_size, factor: 2.0}, {name: free_rider_noise}]
data: {train_limit: 300, test_limit: 100}
enforcement: {deposit: 2, audit_rate: 0.2, expel_after: 2}
"""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("app") / "market.yaml"
    file.write_text(MARKET)
    return file


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def server(market: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = market.with_name("server.log")
    command = [sys.executable, "-m", "scenarios.cli", "app", str(market), "--port", str(port)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=market.parent, env=variables, stdout=out, stderr=out)
    try:
        begun = time.monotonic()
        while not answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - begun < 300, "the server does not come up"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
    told = log.read_text()
    assert "Traceback" not in told, told
    assert "rror" not in told, told


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """One tab, with what went wrong in it."""

    def __init__(self, browser: Any, address: str, scheme: str = "light", size: tuple[int, int] = (1280, 800)) -> None:
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, accept_downloads=True)
        self.context.add_init_script(f"localStorage.setItem(':solara:theme.variant', JSON.stringify('{scheme}'))")
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.wrong: list[str] = []
        self.page.on("console", lambda message: message.type == "error" and self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("requestfailed", lambda request: self.wrong.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self._is_local(request.url))
        self.page.goto(address)
        self.reads("Ready-made scenarios")

    def _is_local(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")):
            self.wrong.append(f"from elsewhere: {url}")

    def sees(self, title: str) -> None:
        self.page.wait_for_selector(f"svg[aria-label$='{title}']")

    def reads(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def unfolds(self, group: str) -> Any:
        header = self.page.locator(".v-expansion-panel-header", has_text=re.compile(rf"^\s*{group}\s*$"))
        panel = self.page.locator(".v-expansion-panel").filter(has=header)
        header.click()
        panel.locator(".v-expansion-panel-content").wait_for()
        return panel

    def steps(self, until: int) -> None:
        self.press("Step")
        self.reads(f"window {until} of")

    def clock(self) -> int:
        return int(self.page.inner_text(".dg-clock").split()[1])

    def chooses(self, panel: Any, label: str, value: str) -> None:
        panel.get_by_label(label, exact=True).first.click(force=True)
        self.page.locator(".menuable__content__active .v-list-item", has_text=value).first.click()

    def keeps(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Visit]:
    visit = Visit(browser, server)
    yield visit
    visit.context.close()
    assert visit.wrong == []


OVERLAPS = """() => [...document.querySelectorAll('.dg-shot svg')].flatMap(svg => {
  const words = [...svg.querySelectorAll('text')].map(node => [node.textContent, node.getBoundingClientRect()]);
  const frame = svg.getBoundingClientRect();
  const found = words.filter(([, a]) => a.left < frame.left || a.right > frame.right + 0.5 || a.bottom > frame.bottom)
    .map(([text]) => `${svg.getAttribute('aria-label')}: '${text}' leaves the picture`);
  words.forEach(([text, a], i) => words.slice(i + 1).forEach(([other, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 4 && text !== 'model' && other !== 'owner')
      found.push(`${svg.getAttribute('aria-label')}: '${text}' over '${other}'`);
  }));
  return found;
})"""


def test_a_session_plays_turns_a_lever_and_is_kept_as_a_scenario_and_a_run(visit: Visit, tmp_path: Path):
    visit.press("▶")
    visit.page.wait_for_function("parseInt(document.querySelector('.dg-clock').innerText.split(' ')[1]) >= 10")
    visit.press("❚❚")
    visit.page.get_by_role("button", name="▶", exact=True).wait_for()
    time.sleep(0.5)  # a step that was under way ends
    played = visit.clock()
    assert 10 <= played < 14
    visit.keeps("played")
    time.sleep(0.5)
    assert visit.clock() == played, "paused"

    levers = visit.unfolds("Levers during the run")
    levers.get_by_label("deposit").fill("4.5")
    levers.get_by_label("deposit").press("Enter")
    levers.get_by_role("button", name="Turn levers").click()
    visit.reads(f"Acts in round {played}.")
    visit.steps(played + 1)
    visit.keeps("lever")

    keep = visit.unfolds("Keep")
    with visit.page.expect_download() as download:
        keep.get_by_text("Scenario", exact=True).click()
    saved = tmp_path / "saved.yaml"
    download.value.save_as(saved)
    assert f"round: {played}" in saved.read_text()
    keep.get_by_label("new folder for the run").fill(str(tmp_path / "kept"))
    keep.get_by_label("new folder for the run").press("Enter")
    keep.get_by_role("button", name="Export run").click()
    visit.reads(f"Written: {tmp_path / 'kept'}")

    horizon = f"horizon={played + 1}"
    assert main(["run", str(saved), "--out", str(tmp_path / "again"), "--set", horizon, "--quiet"]) == 0
    kept, again = open_run(tmp_path / "kept"), open_run(tmp_path / "again")
    pd.testing.assert_frame_equal(kept.events, again.events, check_exact=True)
    assert (kept.events["kind"] == "intervene").sum() == 1
    assert (tmp_path / "kept" / "transfers.parquet").read_bytes() == (
        tmp_path / "again" / "transfers.parquet"
    ).read_bytes()


def test_reset_plays_another_mechanism(visit: Visit):
    visit.steps(1)
    visit.chooses(visit.unfolds("Market"), "mechanism", "fixed_price")
    visit.reads("Reset to play the new values")
    visit.press("Reset")
    visit.reads("window 0 of 14")
    visit.steps(1)
    visit.page.get_by_role("tab", name="Money").click()
    visit.sees("Money flows")
    assert "Reset to play" not in visit.page.inner_text(".dg-clock")


def test_two_worlds_go_in_step_and_are_compared(visit: Visit, tmp_path: Path):
    second = visit.unfolds("Second world")
    second.locator("label", has_text="compare two worlds").click()
    visit.reads("World B has the values of A")
    visit.chooses(second, "mechanism", "free")
    visit.reads("Reset to play the new values")
    visit.press("Reset")
    visit.reads("World B: free")
    for window in (1, 2, 3):
        visit.steps(window)
    visit.sees("A: Population by strategy")
    visit.sees("B: Population by strategy")
    assert not visit.page.evaluate(OVERLAPS)
    visit.keeps("two_worlds")
    visit.page.get_by_role("tab", name="Differences").click()
    visit.sees("B − A: accuracy")
    visit.sees("Both worlds now")
    assert not visit.page.evaluate(OVERLAPS)
    visit.keeps("differences")
    with visit.page.expect_download() as download:
        visit.page.click(".dg-png")
    picture = tmp_path / "view.png"
    download.value.save_as(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 40_000
    assert download.value.suggested_filename == "market-differences-round2.png"


def test_a_finished_run_is_opened_and_scrubbed_through(visit: Visit, market: Path, tmp_path: Path):
    folder = tmp_path / "run"
    assert main(["run", str(market), "--out", str(folder), "--set", "horizon=8", "--quiet"]) == 0
    panel = visit.unfolds("Open a file or a finished run")
    panel.get_by_label("folder of a finished run").fill(str(folder))
    panel.get_by_label("folder of a finished run").press("Enter")
    panel.get_by_role("button", name="Open run").click()
    visit.reads("A finished run")
    visit.reads("Round 7")
    visit.page.locator(".dg-grow [role=slider]").focus()
    for _ in range(3):
        visit.page.keyboard.press("ArrowLeft")
    visit.reads("Round 4 of 7")
    visit.page.get_by_text("round 4:").first.wait_for()
    visit.keeps("finished")
    visit.press("Latest")
    visit.page.get_by_text("round 7:").first.wait_for()


def test_what_is_wrong_is_told_on_the_page_and_can_be_mended(visit: Visit, market: Path):
    panel = visit.unfolds("Open a file or a finished run")
    panel.get_by_label("folder of a finished run").fill("nowhere")
    panel.get_by_label("folder of a finished run").press("Enter")
    panel.get_by_role("button", name="Open run").click()
    visit.reads("nowhere: no such folder")
    bad = market.with_name("bad.yaml")
    bad.write_text("market: {budget: -3}\n")
    panel.get_by_label("scenario file").fill(str(bad))
    panel.get_by_label("scenario file").press("Enter")
    panel.get_by_role("button", name="Open file").click()
    visit.reads("market.budget: -3: expected a number at least 0")
    visit.keeps("bad_scenario")
    panel.get_by_label("scenario file").fill(str(market))
    panel.get_by_label("scenario file").press("Enter")
    panel.get_by_role("button", name="Open file").click()
    visit.reads("window 0 of 14")
    run = visit.unfolds("Run")
    run.get_by_label("horizon").fill("0")
    run.get_by_label("horizon").press("Enter")
    visit.reads("Reset to play the new values")
    visit.press("Reset")
    visit.reads("horizon: 0: expected a whole number")
    run.get_by_label("horizon").fill("5")
    run.get_by_label("horizon").press("Enter")
    visit.reads("Reset to play the new values")
    visit.press("Reset")
    visit.reads("window 0 of 5")
    visit.steps(1)


def test_two_visitors_share_nothing(visit: Visit, browser: Any, server: str):
    other = Visit(browser, server)
    visit.steps(1)
    visit.steps(2)
    other.steps(1)
    time.sleep(0.5)
    assert (visit.clock(), other.clock()) == (2, 1)
    other.context.close()
    visit.steps(3)
    assert not other.wrong


def test_a_card_of_the_gallery_opens_its_scenario_and_a_switch_without_its_needs_is_refused(visit: Visit):
    visit.keeps("gallery")
    visit.page.get_by_role("link", name="Open free_rider_deterred").click()
    visit.reads("Free riders with audits and deposits")
    visit.steps(1)
    levers = visit.unfolds("Levers during the run")
    visit.chooses(levers, "mechanism", "cocogen")
    levers.get_by_role("button", name="Turn levers").click()
    visit.reads("learning.generation is missing: cocogen asks owners")
    visit.chooses(levers, "mechanism", "fixed_price")
    levers.get_by_label("price (fixed_price)").fill("0.07")
    levers.get_by_label("price (fixed_price)").press("Enter")
    time.sleep(0.5)  # the server has taken the price
    visit.keeps("lever_with_its_price")
    levers.get_by_role("button", name="Turn levers").click()
    visit.reads("Acts in round 1.")
    visit.steps(2)
    visit.page.get_by_role("tab", name="Owners").click()
    visit.sees("Mechanism: fixed_price")


@pytest.mark.parametrize(("scheme", "size"), [("light", (1280, 800)), ("dark", (1920, 1080))], ids=["light", "dark"])
def test_no_words_overlap_in_any_tab(browser: Any, server: str, scheme: str, size: tuple[int, int]):
    visit = Visit(browser, server, scheme, size)
    for window in range(1, 7):
        visit.steps(window)
    for tab, title in (("Market", "Accuracy"), ("Money", "Ledger"), ("Owners", "Every owner's life")):
        visit.page.get_by_role("tab", name=tab).click()
        visit.page.wait_for_selector(f'svg[aria-label="{title}"]')
        assert not visit.page.evaluate(OVERLAPS), tab
        visit.keeps(f"{tab.lower()}_{scheme}")
        bottom = (
            "Math.max(...[...document.querySelectorAll('.dg-shot svg')].map(s => s.getBoundingClientRect().bottom))"
        )
        assert 0.9 * size[1] < visit.page.evaluate(bottom) <= size[1], "four pictures fill the window"
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    paper = visit.page.evaluate("document.querySelector('.dg-shot svg rect').getAttribute('fill')")
    assert paper == {"light": "#FFFFFF", "dark": "#1B2026"}[scheme]
    visit.context.close()
    assert not visit.wrong
