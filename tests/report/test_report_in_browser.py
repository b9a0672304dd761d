"""Pages in headless Chromium: they render, nothing leaves them, nothing in a name runs, keys and mouse work."""

from __future__ import annotations

import pytest
from report_cases import (
    HOSTILE,
    hostile_explanation,
    hostile_run,
    make_explanation,
    make_ledger,
    make_run,
    with_validation,
)

from hotloop.report.fragment import explanation_fragment, run_fragment
from hotloop.report.page import render_explanation, render_run

pytestmark = pytest.mark.browser

RANGE = "[Number(document.getElementById('chart').dataset.from), Number(document.getElementById('chart').dataset.to)]"

# The least contrast of any text with what lies behind it. Source: WCAG 2.2, relative luminance and contrast ratio.
CONTRASTS = """
(() => {
  const channels = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const over = (front, opacity, back) => front.slice(0, 3).map((one, k) => opacity * one + (1 - opacity) * back[k]);
  const light = (rgb) => rgb.map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, k) => sum + one * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const back = channels(getComputedStyle(one).backgroundColor);
      if (back.length === 3 || back[3] === 1) return back.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const hidden = "script,style,title,desc,.skip,[hidden],details:not([open]) > :not(summary)";
    if (!words || element.closest(hidden)) continue;
    const style = getComputedStyle(element), isSvg = element instanceof SVGElement;
    let back = behind(element);
    if (element.matches(".ratio")) {
      let cell = element.previousElementSibling;
      while (!cell.matches(".cell")) cell = cell.previousElementSibling;
      back = over(channels(getComputedStyle(cell).fill), Number(getComputedStyle(cell).fillOpacity), back);
    }
    const [a, b] = [light(channels(isSvg ? style.fill : style.color).slice(0, 3)), light(back)];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.outerHTML.slice(0, 80)]);
  }
  return found;
})()
"""

PAGES = {
    "run": lambda: render_run(make_run()),
    "validation": lambda: render_run(with_validation()),
    "explanation": lambda: render_explanation(make_explanation()),
    "refusal": lambda: render_explanation(make_explanation(ledger=make_ledger(refusal="Probing adds 31 %."))),
}


def assert_quiet(page, n_requests=1):
    """Assert that nothing was complained about, no dialog opened, and nothing but the file was asked for."""
    assert page.happened("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled") == []
    assert page.happened("Page.javascriptDialogOpening") == []
    urls = [one["request"]["url"] for one in page.happened("Network.requestWillBeSent")]
    assert len(urls) == n_requests
    assert all(url.startswith("file:") for url in urls)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "dark"), [(1400, False), (400, True)])
def test_it_renders_without_a_complaint_and_fits(show, name, width, dark):
    page = show(PAGES[name](), width=width, dark=dark)
    assert_quiet(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('h1').getBoundingClientRect().height") > 20
    assert page.evaluate("document.querySelector('main svg').getBoundingClientRect().width") > 20
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 24, 28)" if dark else "rgb(255, 255, 255)")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_what_is_behind_it(show, name, dark):
    contrasts = show(PAGES[name](), dark=dark).evaluate(CONTRASTS)
    assert len(contrasts) > 30
    assert [(ratio, text) for ratio, text in contrasts if ratio < 4.5] == []


@pytest.mark.parametrize("name", ["script", "attribute", "end of style", "end of title", "link", "long"])
def test_hostile_names_do_nothing(show, name):
    text = HOSTILE[name]
    for html in (render_run(hostile_run(text)), render_explanation(hostile_explanation(text))):
        page = show(html, width=400)
        assert_quiet(page)
        assert page.evaluate("document.querySelectorAll('img, main script:not([type]), a[href^=java]').length") == 0
        assert page.evaluate("document.scripts.length") <= 2
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_hostile_names_do_nothing_in_a_notebook(show):
    fragments = [
        run_fragment(hostile_run(text)) + explanation_fragment(hostile_explanation(text)) for text in HOSTILE.values()
    ]
    page = show("<!DOCTYPE html><meta charset=utf-8><body>" + "".join(fragments))
    assert_quiet(page)
    assert page.evaluate("document.querySelectorAll('img, script, a, style, link').length") == 0


def test_a_planted_script_is_seen_and_kept_from_running(show):
    """What these tests rely on: the policy stops a script that got in, and the browser says so."""
    html = render_run(make_run()).replace("</main>", "<script>document.title = 'taken'</script><img src=x /></main>")
    page = show(html)
    assert page.evaluate("document.title") != "taken"
    assert len(page.happened("Log.entryAdded")) >= 2


def test_keys_reach_the_curve_zoom_move_and_reset(show):
    page = show(render_run(make_run()))
    for _ in range(8):
        page.press("Tab")
        if page.evaluate("document.activeElement.id") == "chart":
            break
    assert page.evaluate("document.activeElement.id") == "chart"
    before = page.evaluate("document.querySelector('path.curve').getAttribute('d')")
    page.press("+")
    low, high = page.evaluate(RANGE)
    assert (low, high) == (5001, 15000)
    assert page.evaluate("document.querySelector('path.curve').getAttribute('d')") != before
    page.press("ArrowRight")
    assert page.evaluate(RANGE) == [7001, 17000]
    page.press("ArrowLeft")
    page.press("ArrowUp")
    assert page.evaluate(RANGE) == [7501, 12500]
    ticks = page.evaluate("[...document.querySelectorAll('.axes text')].map((one) => one.textContent)")
    assert "10,000" in ticks
    page.press("0")
    assert page.evaluate(RANGE) == [1, 20000]
    assert_quiet(page)


def test_the_first_tab_stop_leads_to_the_content(show):
    page = show(render_explanation(make_explanation()))
    page.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_wheel_drag_and_reading_off(show):
    page = show(render_run(with_validation()))
    page.evaluate("document.querySelector('.plot').scrollIntoView({block: 'center'})")
    box = page.evaluate("document.querySelector('.plot').getBoundingClientRect().toJSON()")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse("mouseMoved", x, y)
    said = page.evaluate("document.querySelector('.readout').textContent")
    assert said.startswith("epoch 15")
    assert "training 0." in said
    assert "validation 0." in said
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-100)
    assert page.evaluate("document.getElementById('chart').dataset.from") is None, "scrolling past must not zoom"
    page.evaluate("document.getElementById('chart').focus({preventScroll: true})")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-100)
    low, high = page.evaluate(RANGE)
    assert high - low == pytest.approx(0.8 * 299, abs=1)
    page.evaluate("document.querySelector('[data-do=in]').click()")
    low, high = page.evaluate(RANGE)
    assert high - low == pytest.approx(0.4 * 299, abs=1)
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    page.mouse("mouseMoved", x - box["width"] / 4, y, button="left", buttons=1)
    page.mouse("mouseReleased", x - box["width"] / 4, y, button="left", clickCount=1)
    assert page.evaluate(RANGE)[0] == pytest.approx(low + (high - low) / 4, abs=2)
    assert page.evaluate("document.querySelector('circle.best').getAttribute('visibility')") == "visible"
    assert_quiet(page)


def test_everything_is_there_without_scripts(show):
    page = show(render_run(with_validation()), scripts=False)
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    names = {node.get("name", {}).get("value", "") for node in tree if not node.get("ignored")}
    roles = [node["role"]["value"] for node in tree if not node.get("ignored")]
    assert "Loss over the epochs" in names
    assert {"main", "banner", "contentinfo", "image", "table", "heading"} <= set(roles)
    assert "button" not in roles, "controls that need a script are not shown without it"
    assert_quiet(page)


def test_a_screen_reader_finds_headings_pictures_and_tables(show):
    page = show(render_explanation(make_explanation()))
    tree = [node for node in page.call("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]
    by_role = {}
    for node in tree:
        by_role.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    assert by_role["heading"][0].startswith("A step takes 131 µs")
    assert by_role["image"] == ["How many times faster the GPU is, over rows of a batch and hidden width"]
    assert by_role["navigation"] == ["Sections"]
    assert len(by_role["table"]) == 3
    assert all(by_role["table"])
