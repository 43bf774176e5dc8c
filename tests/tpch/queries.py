"""The 22 queries of TPC-H as calculations: the specification's SQL with its substitution parameters as `$parameters`.

`sql/` holds the text of section 2.4 of the specification, in DuckDB's dialect; Q15's view is a WITH query. `some_values` draws
parameters from the domains that each query's clause "Substitution Parameters" gives, and `validation` are those for which the
specification prints answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

Value = int | str | date | Decimal
Values = dict[str, Value]

HERE = Path(__file__).parent

NATIONS = {
    "ALGERIA": "AFRICA", "ARGENTINA": "AMERICA", "BRAZIL": "AMERICA", "CANADA": "AMERICA", "EGYPT": "MIDDLE EAST",
    "ETHIOPIA": "AFRICA", "FRANCE": "EUROPE", "GERMANY": "EUROPE", "INDIA": "ASIA", "INDONESIA": "ASIA", "IRAN": "MIDDLE EAST",
    "IRAQ": "MIDDLE EAST", "JAPAN": "ASIA", "JORDAN": "MIDDLE EAST", "KENYA": "AFRICA", "MOROCCO": "AFRICA", "MOZAMBIQUE": "AFRICA",
    "PERU": "AMERICA", "CHINA": "ASIA", "ROMANIA": "EUROPE", "SAUDI ARABIA": "MIDDLE EAST", "VIETNAM": "ASIA", "RUSSIA": "EUROPE",
    "UNITED KINGDOM": "EUROPE", "UNITED STATES": "AMERICA",
}  # fmt: skip
REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
SEGMENTS = ("AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY")
TYPES = (
    ("STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"),
    ("ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"),
    ("TIN", "NICKEL", "BRASS", "STEEL", "COPPER"),
)
CONTAINERS = (("SM", "MED", "JUMBO", "WRAP", "LG"), ("CASE", "BOX", "JAR", "PKG", "PACK", "CAN", "DRUM", "BAG"))
MODES = ("REG AIR", "AIR", "RAIL", "TRUCK", "MAIL", "FOB", "SHIP")
COLORS = (
    "almond", "antique", "aquamarine", "azure", "beige", "bisque", "black", "blanched", "blue", "blush", "brown", "burlywood",
    "burnished", "chartreuse", "chiffon", "chocolate", "coral", "cornflower", "cornsilk", "cream", "cyan", "dark", "deep", "dim",
    "dodger", "drab", "firebrick", "floral", "forest", "frosted", "gainsboro", "ghost", "goldenrod", "green", "grey", "honeydew", "hot",
    "indian", "ivory", "khaki", "lace", "lavender", "lawn", "lemon", "light", "lime", "linen", "magenta", "maroon", "medium", "metallic",
    "midnight", "mint", "misty", "moccasin", "navajo", "navy", "olive", "orange", "orchid", "pale", "papaya", "peach", "peru", "pink",
    "plum", "powder", "puff", "purple", "red", "rose", "rosy", "royal", "saddle", "salmon", "sandy", "seashell", "sienna", "sky", "slate",
    "smoke", "snow", "spring", "steel", "tan", "thistle", "tomato", "turquoise", "violet", "wheat", "white", "yellow",
)  # fmt: skip
WORDS = (("special", "pending", "unusual", "express"), ("packages", "requests", "accounts", "deposits"))


class Query(NamedTuple):
    """One query. `ordered` are the columns it sorts by, and `limit` how many rows it then keeps, if it drops any."""

    number: int
    sql: str
    parameters: dict[str, str]
    ordered: tuple[str, ...]
    limit: int | None
    validation: Values
    draw: Callable[[random.Random, float], Values]

    @property
    def unlimited(self) -> str:
        """The SQL without its LIMIT, which says what rows a tie may choose from."""
        return self.sql.removesuffix(f"limit {self.limit}")

    def some_values(self, seed: int, count: int, scale: float) -> list[Values]:
        """Parameter sets for data of that scale factor, the same for the same seed."""
        chance = random.Random(f"{self.number} {seed}")
        return [self.draw(chance, scale) for _ in range(count)]


def month(chance: random.Random, first: tuple[int, int], last: tuple[int, int]) -> date:
    """The first day of a month, both ends included."""
    at = chance.randint(first[0] * 12 + first[1] - 1, last[0] * 12 + last[1] - 1)
    return date(at // 12, at % 12 + 1, 1)


def year(chance: random.Random) -> date:
    return date(chance.randint(1993, 1997), 1, 1)


def brand(chance: random.Random) -> str:
    return f"Brand#{chance.randint(1, 5)}{chance.randint(1, 5)}"


def words(chance: random.Random, *lists: tuple[str, ...]) -> str:
    return " ".join(chance.choice(words) for words in lists)


def nation(chance: random.Random) -> str:
    return chance.choice(list(NATIONS))


def _q2(chance: random.Random, _: float) -> Values:
    return {"size": chance.randint(1, 50), "type": chance.choice(TYPES[2]), "region": chance.choice(REGIONS)}


def _q3(chance: random.Random, _: float) -> Values:
    return {"segment": chance.choice(SEGMENTS), "date": date(1995, 3, chance.randint(1, 31))}


def _q6(chance: random.Random, _: float) -> Values:
    return {"date": year(chance), "discount": Decimal(chance.randint(2, 9)) / 100, "quantity": chance.randint(24, 25)}


def _q7(chance: random.Random, _: float) -> Values:
    return dict(zip(("nation1", "nation2"), chance.sample(list(NATIONS), 2), strict=True))


def _q8(chance: random.Random, _: float) -> Values:
    of = nation(chance)
    return {"nation": of, "region": NATIONS[of], "type": words(chance, *TYPES)}


def _q12(chance: random.Random, _: float) -> Values:
    one, other = chance.sample(MODES, 2)
    return {"shipmode1": one, "shipmode2": other, "date": year(chance)}


def _q13(chance: random.Random, _: float) -> Values:
    return {"word1": chance.choice(WORDS[0]), "word2": chance.choice(WORDS[1])}


def _q16(chance: random.Random, _: float) -> Values:
    sizes = {f"size{number}": size for number, size in enumerate(chance.sample(range(1, 51), 8), 1)}
    return {"brand": brand(chance), "type": words(chance, *TYPES[:2]), **sizes}


def _q18(chance: random.Random, scale: float) -> Values:
    # The specification's 312 to 315 are for much data: in less, no order is so large.
    return {"quantity": chance.randint(312 if scale >= 1 else 270, 315)}


def _q19(chance: random.Random, _: float) -> Values:
    quantities = {f"quantity{number}": chance.randint(max(1, 10 * number - 10), 10 * number) for number in (1, 2, 3)}
    return {**quantities, **{f"brand{number}": brand(chance) for number in (1, 2, 3)}}


def _q20(chance: random.Random, _: float) -> Values:
    return {"color": chance.choice(COLORS), "date": year(chance), "nation": nation(chance)}


def _q22(chance: random.Random, _: float) -> Values:
    return _codes(chance.sample(range(10, 35), 7))


def _codes(codes: list[int]) -> Values:
    return {f"i{number}": str(code) for number, code in enumerate(codes, 1)}


def _fraction(scale: float) -> Decimal:
    return (Decimal("0.0001") / Decimal(str(scale))).quantize(Decimal("1e-10"))


def _query(
    number: int,
    parameters: Mapping[str, str],
    ordered: str,
    validation: Values,
    draw: Callable[[random.Random, float], Values],
    limit: int | None = None,
) -> Query:
    sql = (HERE / "sql" / f"{number:02}.sql").read_text().strip().removesuffix(";")
    return Query(number, sql, dict(parameters), tuple(ordered.split()), limit, validation, draw)


_TEXT, _DATE, _WHOLE = "VARCHAR", "DATE", "INTEGER"

QUERIES: dict[int, Query] = {
    query.number: query
    for query in (
        _query(1, {"delta": _WHOLE}, "l_returnflag l_linestatus", {"delta": 90}, lambda chance, _: {"delta": chance.randint(60, 120)}),
        _query(
            2, {"size": _WHOLE, "type": _TEXT, "region": _TEXT}, "s_acctbal n_name s_name p_partkey",
            {"size": 15, "type": "BRASS", "region": "EUROPE"}, _q2, 100,
        ),
        _query(
            3, {"segment": _TEXT, "date": _DATE}, "revenue o_orderdate", {"segment": "BUILDING", "date": date(1995, 3, 15)}, _q3, 10
        ),
        _query(
            4, {"date": _DATE}, "o_orderpriority", {"date": date(1993, 7, 1)},
            lambda chance, _: {"date": month(chance, (1993, 1), (1997, 10))},
        ),
        _query(
            5, {"region": _TEXT, "date": _DATE}, "revenue", {"region": "ASIA", "date": date(1994, 1, 1)},
            lambda chance, _: {"region": chance.choice(REGIONS), "date": year(chance)},
        ),
        _query(
            6, {"date": _DATE, "discount": "DECIMAL(15,2)", "quantity": _WHOLE}, "",
            {"date": date(1994, 1, 1), "discount": Decimal("0.06"), "quantity": 24}, _q6,
        ),
        _query(
            7, {"nation1": _TEXT, "nation2": _TEXT}, "supp_nation cust_nation l_year", {"nation1": "FRANCE", "nation2": "GERMANY"}, _q7
        ),
        _query(
            8, {"nation": _TEXT, "region": _TEXT, "type": _TEXT}, "o_year",
            {"nation": "BRAZIL", "region": "AMERICA", "type": "ECONOMY ANODIZED STEEL"}, _q8,
        ),
        _query(9, {"color": _TEXT}, "nation o_year", {"color": "green"}, lambda chance, _: {"color": chance.choice(COLORS)}),
        _query(
            10, {"date": _DATE}, "revenue", {"date": date(1993, 10, 1)},
            lambda chance, _: {"date": month(chance, (1993, 2), (1995, 1))}, 20,
        ),
        _query(
            11, {"nation": _TEXT, "fraction": "DECIMAL(12,10)"}, "value", {"nation": "GERMANY", "fraction": Decimal("0.0001")},
            lambda chance, scale: {"nation": nation(chance), "fraction": _fraction(scale)},
        ),
        _query(
            12, {"shipmode1": _TEXT, "shipmode2": _TEXT, "date": _DATE}, "l_shipmode",
            {"shipmode1": "MAIL", "shipmode2": "SHIP", "date": date(1994, 1, 1)}, _q12,
        ),
        _query(13, {"word1": _TEXT, "word2": _TEXT}, "custdist c_count", {"word1": "special", "word2": "requests"}, _q13),
        _query(
            14, {"date": _DATE}, "", {"date": date(1995, 9, 1)}, lambda chance, _: {"date": month(chance, (1993, 1), (1997, 12))}
        ),
        _query(
            15, {"date": _DATE}, "s_suppkey", {"date": date(1996, 1, 1)},
            lambda chance, _: {"date": month(chance, (1993, 1), (1997, 10))},
        ),
        _query(
            16, {"brand": _TEXT, "type": _TEXT, **{f"size{number}": _WHOLE for number in range(1, 9)}},
            "supplier_cnt p_brand p_type p_size",
            {
                "brand": "Brand#45", "type": "MEDIUM POLISHED",
                **{f"size{number}": size for number, size in enumerate((49, 14, 23, 45, 19, 3, 36, 9), 1)},
            },
            _q16,
        ),
        _query(
            17, {"brand": _TEXT, "container": _TEXT}, "", {"brand": "Brand#23", "container": "MED BOX"},
            lambda chance, _: {"brand": brand(chance), "container": words(chance, *CONTAINERS)},
        ),
        _query(
            18, {"quantity": _WHOLE}, "o_totalprice o_orderdate", {"quantity": 300}, _q18, 100,
        ),
        _query(
            19, {**{f"quantity{number}": _WHOLE for number in (1, 2, 3)}, **{f"brand{number}": _TEXT for number in (1, 2, 3)}}, "",
            {"quantity1": 1, "quantity2": 10, "quantity3": 20, "brand1": "Brand#12", "brand2": "Brand#23", "brand3": "Brand#34"}, _q19,
        ),
        _query(
            20, {"color": _TEXT, "date": _DATE, "nation": _TEXT}, "s_name",
            {"color": "forest", "date": date(1994, 1, 1), "nation": "CANADA"}, _q20,
        ),
        _query(
            21, {"nation": _TEXT}, "numwait s_name", {"nation": "SAUDI ARABIA"}, lambda chance, _: {"nation": nation(chance)}, 100
        ),
        _query(
            22, {f"i{number}": _TEXT for number in range(1, 8)}, "cntrycode", _codes([13, 31, 23, 29, 30, 18, 17]), _q22,
        ),
    )
}  # fmt: skip
