"""The console in a real browser, over a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from browser import Visit, browsing
from serving import Served
from small import Small

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CALCULATIONS = {
    "sums": {
        "sql": "create table totals as\n"
        "select f.g, sum(f.v * coalesce(x.factor, 1) * $times) as total, count(x.g) as changed\n"
        "from facts as f left join factors as x on x.g = f.g\n"
        "where f.v >= $least group by f.g order by f.g;\n"
        "create table summary as select sum(total) as total from totals",
        "description": "Sums by group, as they are and as they would be",
        "parameters": {
            "times": {"type": "decimal(6,2)", "default": 1, "min": 0, "max": 10, "description": "How often everything counts"},
            "least": {"type": "integer", "default": 0},
            "rounded": {"type": "boolean", "default": False},
        },
        "outputs": ["totals", "summary"],
    },
    "fails": {
        "sql": "create table fine as select g, sum(v) as v from facts group by g;\n\n"
        "create table broken as\nselect\n    g,\n    cast($text as integer) as n\nfrom fine",
        "parameters": {"text": {"type": "varchar", "default": "seven"}},
    },
    "many": {"sql": "create table result as select 'name ' || i as name, i as n from range(120) r(i) order by n"},
    "days": {
        "sql": "create table result as select date '2026-01-31' - (i // 3)::integer as day, 's' || i % 3 as shop, i * 1e15 as v\n"
        "from range(1500) r(i) where i >= $least",
        "parameters": {
            "least": {"type": "integer", "default": 0},
            "dataset": {"type": "boolean", "default": None},
            "note": {"type": "varchar", "default": "as ever"},
            "at": {"type": "timestamp", "default": "2026-01-01"},
        },
    },
    # Takes minutes, in one statement.
    "slow": {
        "sql": "create table result as select count(*) + $more as n from range(1000000000) as a, range(1000000000) as b",
        "parameters": {"more": {"type": "integer", "default": 0}},
    },
}
INPUTS = {
    "factors": {
        "description": "What to multiply a group by",
        "columns": {
            "g": {"type": "varchar", "required": True, "references": "groups.g"},
            "factor": {"type": "decimal(6,2)", "required": True, "min": 0, "max": 5},
        },
        "unique": [["g"]],
    }
}


def declared(folder: Path) -> Small:
    small = Small(folder)
    small.parquet("data/facts.parquet", "SELECT 'g' || i % 7 AS g, CAST(i % 97 AS decimal(9,2)) AS v FROM range(1000) r(i)")
    return small.declare(
        sources={"facts": {"path": "data/*.parquet"}},
        tier2={"groups": {"sql": "select distinct g from facts", "key": ["g"]}},
        inputs=INPUTS, calculations=CALCULATIONS, limits={"memory": "200MB", "deadline": "5m"}, server={"workers": 2, "grace": "1s"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(declared(tmp_path_factory.mktemp("console") / "small").folder)
    try:
        yield found.ready()
    finally:
        found.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Visit]:
    """A browser in which nobody has signed in. Whatever it complains of, and the test did not mean, fails the test."""
    found = Visit(browser, served.url)
    yield found
    found.quiet()
    found.context.close()


def test_who_has_not_signed_in_is_asked_to_and_then_gets_where_they_wanted(served: Served, visit: Visit) -> None:
    page = visit.go("/runs?status=failed")
    assert page.url.endswith("/sign-in?next=%2Fruns%3Fstatus%3Dfailed")
    page.get_by_label("API key").fill("fbk_wrong")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").get_by_text("There is no such key").wait_for()
    visit.quiet("403")
    page.get_by_label("API key").fill(served.own_key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Runs").wait_for()
    assert page.url == f"{served.url}/runs?status=failed"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in to Forebay").wait_for()
    visit.go("/data")
    assert "/sign-in" in page.url


def test_a_link_signs_in_once(served: Served, browser: Browser, visit: Visit) -> None:
    page = visit.go(served.link.removeprefix(served.url))
    page.get_by_role("heading", name="Overview").wait_for()
    assert page.url == f"{served.url}/"
    visit.go(served.link.removeprefix(served.url))
    assert page.url == f"{served.url}/"  # this browser is in already
    other = Visit(browser, served.url)
    other.go(served.link.removeprefix(served.url)).get_by_text("This link has been used, or is too old").wait_for()
    other.quiet("403")
    other.context.close()


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_nowhere_else(served: Served, elsewhere: str) -> None:
    headers = {"Origin": served.url}
    answer = httpx.post(f"{served.url}/sign-in", data={"key": served.own_key, "next": elsewhere}, headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    headers = {"Origin": "https://evil.example"}
    assert httpx.post(f"{served.url}/sign-in", data={"key": served.own_key}, headers=headers).status_code == 403


def test_the_api_answers_without_a_session_as_before(served: Served) -> None:
    assert httpx.get(f"{served.url}/v1/me").status_code == 401
    assert httpx.get(f"{served.url}/nothing").headers["content-type"] == "application/problem+json"
    page = httpx.get(f"{served.url}/nothing", headers={"Accept": "text/html"})
    assert page.status_code == 404 and page.headers["content-type"].startswith("text/html")
    assert "unsafe-inline" not in httpx.get(f"{served.url}/sign-in").headers["content-security-policy"]


def test_from_a_form_to_a_chart_a_download_and_a_comparison(served: Served, visit: Visit) -> None:
    visit.sign_in(served.user("planner"))
    page = visit.page
    page.get_by_role("link", name="sums").first.click()
    page.get_by_text("How often everything counts").wait_for()
    page.get_by_label("times").fill("99")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("times = 99 must be ≤ 10. It takes 0 to 10").wait_for()
    assert page.get_by_label("times").get_attribute("aria-invalid") == "true"
    assert page.evaluate("document.activeElement.dataset.parameter") == "times"
    visit.quiet("422")
    page.get_by_label("times").fill("2.5")
    page.get_by_role("button", name="Run", exact=True).click()

    page.get_by_role("heading", name="sums Succeeded").wait_for()
    first = page.url.rpartition("/")[2]
    page.locator(".chart .main-svg").first.wait_for()
    assert page.get_by_role("tab", name="totals").get_attribute("aria-selected") == "true"
    assert page.get_by_role("row").filter(has_text="g0").count() == 1
    with page.expect_download() as loading:
        page.get_by_role("link", name="CSV").first.click()
    assert loading.value.suggested_filename == "sums.totals.csv"
    assert Path(loading.value.path()).read_text().startswith("g,total,changed")
    page.get_by_role("tab", name="totals").press("ArrowRight")
    assert page.get_by_role("tab", name="summary").get_attribute("aria-selected") == "true"
    assert not page.get_by_role("tabpanel", name="totals").is_visible()

    page.get_by_role("link", name="Change and run").click()
    page.get_by_text("As in run").wait_for()
    assert page.get_by_label("times").input_value() == "2.5"
    page.get_by_label("times").fill("3")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("heading", name="sums Succeeded").wait_for()
    assert not page.url.endswith(first)
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="sums: two runs").wait_for()
    assert page.get_by_role("row").filter(has_text="times").get_by_role("cell").all_inner_texts() == ["2.5", "3"]
    assert page.get_by_text("Matched by g").is_visible()


def test_bad_rows_are_shown_until_the_file_is_mended(served: Served, visit: Visit, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.csv", tmp_path / "good.csv"
    bad.write_text("g,factor\n" + "".join(f"nowhere{n},2\n" for n in range(30)) + "g1,9\n,1\ng2,3\n")
    good.write_text("g,factor\ng1,4\ng2,3\n")
    visit.sign_in(served.user("uploader"))
    page = visit.go("/calculations/sums")
    page.get_by_label("Upload a file for factors").set_input_files(bad)
    page.get_by_text("32 rows of 33 break rules").wait_for()
    report = page.get_by_role("table", name="Rows of bad.csv that break rules")
    report.get_by_role("row").filter(has_text="nowhere0").wait_for()
    assert not report.get_by_text("nowhere29").count()
    page.get_by_role("button", name="Broken rules after").click()
    report.get_by_role("row").filter(has_text="nowhere29").wait_for()
    assert report.get_by_role("row").filter(has_text="factor").filter(has_text="9").count()
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download these rows").click()
    assert "nowhere7" in Path(loading.value.path()).read_text()
    assert page.get_by_label("Go on with the valid rows").is_visible()

    page.get_by_label("Upload a file for factors").set_input_files(good)
    page.get_by_text("Every row is valid: 2 rows").wait_for()
    assert not report.count() or not report.is_visible()
    assert not page.get_by_label("Go on with the valid rows").is_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("heading", name="sums Succeeded").wait_for()
    assert page.get_by_text("good.csv").is_visible()

    # The earlier file is still there, and its valid row will do.
    page.get_by_role("link", name="Change and run").click()
    page.get_by_text("Every row is valid: 2 rows").wait_for()
    page.get_by_label("File", exact=True).select_option(label=next(o for o in page.get_by_label("File", exact=True).inner_text().splitlines() if "bad.csv" in o).strip())
    page.get_by_label("Go on with the valid rows").check()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("heading", name="sums Succeeded").wait_for()
    page.get_by_text("the run went on without those rows").wait_for()
    with page.expect_download() as loading:
        page.goto(served.url + "/calculations/sums", wait_until="domcontentloaded")
        page.get_by_text("Columns and rules").click()
        page.get_by_role("link", name="CSV", exact=True).click()
    assert Path(loading.value.path()).read_text(encoding="utf-8-sig").strip() == "g,factor"


def test_rows_are_sorted_searched_and_paged(served: Served, visit: Visit) -> None:
    visit.sign_in(served.own_key)
    page = visit.go(f"/runs/{served.done('many')['id']}")
    page.get_by_text("1–50 of 120").wait_for()
    page.get_by_role("button", name="Rows after").click()
    page.get_by_text("51–100 of 120").wait_for()
    page.get_by_role("button", name="n", exact=True).click()
    page.get_by_text("1–50 of 120").wait_for()
    assert page.get_by_role("columnheader", name="n", exact=True).get_attribute("aria-sort") == "descending"
    page.get_by_role("row").nth(1).filter(has_text="119").wait_for()
    page.get_by_label("Find").fill("name 7")
    page.get_by_text("1–11 of 11").wait_for()
    page.get_by_role("button", name="Promote").click()
    page.get_by_text("Published in results.many.result").wait_for()
    page.get_by_role("button", name="Take result back").click()
    page.get_by_role("button", name="Promote").wait_for()


def test_a_form_sends_what_stands_in_it_and_a_chart_says_what_it_shows(served: Served, visit: Visit) -> None:
    asked = {"least": "0", "dataset": None, "note": "", "at": "2026-01-02 10:11:12.123456"}
    run = served.done("days", parameters=asked)["id"]
    visit.sign_in(served.own_key)
    page = visit.go(f"/calculations/days?like={run}")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("heading", name="days Succeeded").wait_for()
    assert served.run(page.url.rpartition("/")[2])["parameters"] == asked

    page.locator(".chart .main-svg").first.wait_for()
    page.get_by_text("First 1\u202f000 of 1\u202f500 rows. By shop.").wait_for()
    traces = page.evaluate("document.querySelector('[data-canvas]').data.map((one) => [one.name, one.mode, one.x[0] < one.x.at(-1)])")
    assert sorted(traces) == [[f"s{n}", "lines+markers", True] for n in range(3)]
    page.locator("[data-x]").select_option("shop")
    page.get_by_text("Rows of the same shop stand upon each other.").wait_for()

    # A session that ends while somebody types: what was typed is there again.
    visit.go(f"/calculations/days?like={run}")
    page.get_by_label("note").fill("typed")
    page.get_by_label("least").fill("")
    page.context.clear_cookies()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_label("API key").fill(served.own_key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("heading", name="days Succeeded").wait_for()
    assert served.run(page.url.rpartition("/")[2])["parameters"] == {**asked, "note": "typed", "least": None}
    visit.quiet("401")


def test_who_looks_on_learns_that_the_server_or_the_session_is_gone(served: Served, visit: Visit) -> None:
    page = visit.sign_in(served.own_key)
    page.context.set_offline(True)
    page.get_by_text("The server cannot be reached").wait_for()
    page.context.set_offline(False)
    page.get_by_text("The server cannot be reached").wait_for(state="hidden")
    page.context.clear_cookies()
    page.get_by_role("heading", name="Sign in to Forebay").wait_for()
    visit.quiet("ERR_INTERNET_DISCONNECTED")


def test_progress_is_seen_and_a_run_can_be_cancelled(served: Served, visit: Visit) -> None:
    visit.sign_in(served.own_key)
    page = visit.go("/calculations/slow")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Running for").wait_for()
    page.locator(".steps li.running").filter(has_text="result").wait_for()
    run = page.url.rpartition("/")[2]
    visit.go("/")
    page.get_by_role("row").filter(has_text=run).get_by_role("progressbar").wait_for()
    page.get_by_role("link", name=run).click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("heading", name="Cancelled", exact=True).wait_for()
    page.get_by_role("button", name="Replay").wait_for()


def test_a_failed_run_shows_the_line_and_what_to_do(served: Served, visit: Visit) -> None:
    run = served.ended(served.submit("fails")["id"])["id"]
    visit.sign_in(served.own_key)
    page = visit.go(f"/runs/{run}")
    page.get_by_role("heading", name="Why it failed").wait_for()
    assert page.locator("mark").inner_text().strip() == "cast($text as integer) as n"
    assert page.locator(".line.marked i").inner_text() == "6"
    assert page.get_by_text("whoever wrote the calculation must mend the SQL above").is_visible()
    visit.go("/")
    assert page.get_by_role("region", name="Failed lately").get_by_role("link", name=run).is_visible()
    visit.go("/runs?status=failed&calculation=fails").get_by_role("link", name=run).wait_for()


def test_two_users_do_not_see_each_others_runs(served: Served, browser: Browser, visit: Visit) -> None:
    ann, bob = served.user("ann"), served.user("bob")
    run = served.done("sums", ann, parameters={"least": 3})["id"]
    visit.sign_in(bob)
    page = visit.go(f"/runs/{run}")
    page.get_by_role("heading", name="There is no run").wait_for()
    assert visit.go("/runs").get_by_text("There is no run yet").is_visible()
    assert page.get_by_label("Owner").count() == 0
    assert visit.go(f"/runs/{run}/compare/{run}").get_by_role("heading", name="There is no run").is_visible()
    assert page.get_by_role("button", name="Refresh now").count() == 0
    visit.quiet("404")

    other = Visit(browser, served.url)
    other.sign_in(ann)
    other.go(f"/runs/{run}").get_by_role("button", name="Share").click()
    other.page.get_by_role("button", name="Shared with everybody").wait_for()
    other.quiet()
    other.context.close()
    visit.go(f"/runs/{run}").get_by_role("heading", name="Results").wait_for()
    assert page.get_by_role("button", name="Share").count() == 0


def test_the_data_page_tells_what_is_made_of_what(served: Served, visit: Visit) -> None:
    visit.sign_in(served.own_key)
    page = visit.go("/data")
    page.get_by_role("link", name="declared groups").hover()
    page.locator("path.near").first.wait_for(state="attached")
    page.get_by_role("link", name="calculation fails").click()
    page.locator("#decisions-fails[open]").wait_for()
    assert page.get_by_role("row").filter(has_text="depends on").first.is_visible()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_are_legible(served: Served, browser: Browser, width: int, scheme: str) -> None:
    run = served.done("sums", parameters={"least": 1})["id"]
    other = served.done("sums", parameters={"least": 2})["id"]
    visit = Visit(browser, served.url, width, scheme)
    visit.sign_in(served.own_key)
    for path in ("/", "/runs", "/data", "/calculations/sums", f"/runs/{run}", f"/runs/{run}/compare/{other}"):
        page = visit.go(path)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert not page.evaluate(FAINT), path
        assert not page.evaluate(UNNAMED), path
    visit.quiet()
    visit.context.close()


FAINT = """() => {
  // Text whose contrast with its ground is below 4.5.
  const parsed = (text) => { const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true}); c.fillStyle = text; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data]; };
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) { const [r, g, b, a] = parsed(getComputedStyle(at).backgroundColor); if (a) layers.push([[r, g, b], a / 255]); if (a === 255) break; }
    let under = parsed(getComputedStyle(document.documentElement).backgroundColor).slice(0, 3);
    for (const [rgb, a] of layers.reverse()) under = under.map((v, i) => rgb[i] * a + v * (1 - a));
    return under;
  };
  const found = new Set();
  for (const element of document.querySelectorAll('body *')) {
    if (element.closest('svg, script, noscript, .unseen, :disabled') || !element.checkVisibility()) continue;
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
    const [a, b] = [light(parsed(getComputedStyle(element).color).slice(0, 3)), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.add(`${element.tagName}.${element.className} ${element.textContent.trim().slice(0, 30)} ${contrast.toFixed(2)}`);
  }
  return found.size ? [...found] : null;
}"""
UNNAMED = """() => {
  // Controls without a name, tables without a caption, headers without a scope, ids that are there twice.
  const found = [];
  for (const control of document.querySelectorAll('input:not([type=hidden]), select, textarea')) if (!control.labels?.length && !control.getAttribute('aria-label')) found.push(control.outerHTML);
  for (const button of document.querySelectorAll('button, a[href]')) if (!button.textContent.trim() && !button.getAttribute('aria-label')) found.push(button.outerHTML);
  for (const table of document.querySelectorAll('table')) if (!table.caption) found.push(table.outerHTML.slice(0, 200));
  for (const head of document.querySelectorAll('th')) if (!head.scope) found.push(head.outerHTML);
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  found.push(...ids.filter((id, index) => ids.indexOf(id) !== index));
  if (document.querySelectorAll('h1').length !== 1 || !document.querySelector('main')) found.push('landmarks');
  return found.length ? found : null;
}"""


def test_a_project_without_an_edition_says_why(tmp_path: Path, browser: Browser) -> None:
    small = declared(tmp_path / "empty")
    (small.folder / "data" / "facts.parquet").unlink()
    served = Served(small.folder)
    try:
        visit = Visit(browser, served.url)
        visit.go(served.link.removeprefix(served.url)).get_by_text("Nothing has been published yet").wait_for()
        visit.page.get_by_text("The first refresh failed, so nothing can be run yet").wait_for()
        assert visit.go("/runs").get_by_text("Calculations can be run as soon as an edition is published").is_visible()
        visit.go("/data").get_by_role("heading", name="Nothing has been published yet").wait_for()
        visit.go("/")
        small.parquet("data/facts.parquet", "SELECT 'a' AS g, CAST(1 AS decimal(9,2)) AS v")
        visit.page.get_by_role("button", name="Refresh now").click()
        # The page learns of the edition by itself.
        visit.page.get_by_role("link", name="Edition 1").wait_for()
        visit.quiet("409")
        visit.context.close()
    finally:
        served.close()
