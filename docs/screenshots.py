"""Takes the pictures of the guide, docs/screenshots/*.png, of the retail example as a real server shows it.

    python examples/retail/get_data.py && python docs/screenshots.py

Goes the way of a planner: sign in, upload a file with bad rows, then a good one, run, compare. Takes as long as the example's first
refresh, and half a minute.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from browser import Visit, browsing  # noqa: E402  # the tests' own, which are no package
from coffee import made  # noqa: E402
from serving import Served  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RETAIL = HERE.parent / "examples" / "retail"
SHOTS = HERE / "screenshots"
LARGEST = 200_000
CHART = ".chart .main-svg"
BROKEN = """-- What each product made in each shop, by its number.
create table by_shop as
select shop, product, sum(revenue) as revenue
from sales
where day >= $from_day
group by shop, product;

create table numbered as
select
    shop,
    cast(product as integer) as product_number,
    revenue * (1 + $tax_rate) as revenue
from by_shop;
"""


def main() -> None:
    """Take all of them."""
    SHOTS.mkdir(exist_ok=True)
    with browsing() as browser:
        served = Served(RETAIL)
        try:
            served.ready(1800)
            run = planned(Visit(browser, served.url), served)
            for name, width, scheme in (("dark", 1280, "dark"), ("narrow", 400, "light")):
                visit = Visit(browser, served.url, width, scheme)
                visit.sign_in(served.own_key)
                visit.go(f"/runs/{run}")
                shot(visit, f"run-{name}", CHART)
        finally:
            served.close()
            (RETAIL / "talk").unlink(missing_ok=True)  # what the server said
        with tempfile.TemporaryDirectory() as folder:
            failed(browser, Path(folder) / "coffee")


def planned(visit: Visit, served: Served) -> str:
    """The way of a planner through the retail example. Returns the id of the last run."""
    page = visit.go("/")
    shot(visit, "sign-in")
    visit.sign_in(served.own_key)
    page.get_by_role("link", name="plan", exact=True).first.click()
    upload = page.get_by_label("Upload a file for adjustments")
    upload.set_input_files(RETAIL / "adjustments_with_errors.csv")
    shot(visit, "bad-rows", "[data-report] tbody tr")
    upload.set_input_files(RETAIL / "adjustments.csv")
    page.get_by_text("Every row is valid").wait_for()
    shot(visit, "calculation")
    runs = []
    for elasticity in ("-1.2", "-0.8"):
        # Others are at work too, or it would be over before it is seen.
        for tax in range(5):
            served.submit("plan", fresh=True, parameters={"tax_rate": tax / 100, "elasticity": elasticity})
        page.get_by_label("elasticity").fill(elasticity)
        page.get_by_label("Compute again").check()
        page.get_by_role("button", name="Run", exact=True).click()
        shot(visit, "progress", ".steps li.done + li.running", rest=0)
        page.locator("h1 .status.succeeded").wait_for()
        runs.append(page.url.rpartition("/")[2])
        shot(visit, "run", CHART)
        page.get_by_role("link", name="Change and run").click()
        page.get_by_text("Every row is valid").wait_for()
    visit.go(f"/runs/{runs[0]}/compare/{runs[1]}")
    shot(visit, "compare")
    visit.go("/runs")
    shot(visit, "runs")
    visit.go("/data")
    shot(visit, "data")
    visit.go("/")
    shot(visit, "overview", CHART)
    return runs[-1]


def failed(browser: Browser, folder: Path) -> None:
    """A run that fails in its SQL, of a project that is spoilt for it."""
    made(folder).write("calculations/plan.sql", BROKEN)
    served = Served(folder)
    try:
        served.ready()
        run = served.ended(served.submit("plan")["id"])["id"]
        visit = Visit(browser, served.url)
        visit.sign_in(served.own_key)
        visit.go(f"/runs/{run}")
        shot(visit, "failure", ".failure")
    finally:
        served.close()


def shot(visit: Visit, name: str, wanted: str = "main", rest: float = 300) -> None:
    """A picture of what is to be seen of the page, once `wanted` is, and has come to rest."""
    visit.page.locator(wanted).first.wait_for()
    visit.page.wait_for_timeout(rest)
    file = SHOTS / f"{name}.png"
    visit.page.screenshot(path=str(file), animations="disabled")
    size = file.stat().st_size
    print(f"{name}.png {size:,}")
    if size > LARGEST:
        sys.exit(f"{name}.png has more than {LARGEST:,} bytes: show less")


if __name__ == "__main__":
    main()
