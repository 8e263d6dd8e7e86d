"""pandas: build a table of some hundred MiB, merge, group, pivot, sort and roll; huge pages too."""

import numpy
import pandas
from _common import Digest, rounds


def sales(rows: int) -> pandas.DataFrame:
    """A table of sales, the same every time."""
    source = numpy.random.default_rng(11)
    return pandas.DataFrame(
        {
            "shop": source.integers(0, 500, rows),
            "product": source.integers(0, 20_000, rows),
            "day": source.integers(0, 365, rows),
            "amount": source.integers(1, 50, rows),
            "price": source.integers(100, 10_000, rows) / 100,
        }
    )


def products(count: int = 20_000) -> pandas.DataFrame:
    """What the products are."""
    names = [f"product {number}" for number in range(count)]
    kinds = [f"kind {number % 37}" for number in range(count)]
    return pandas.DataFrame({"product": range(count), "name": names, "kind": kinds})


def main() -> None:
    digest = Digest()
    table = sales(rounds(1_100_000, 20_000)).merge(products(), on="product", how="left")
    table["value"] = table["amount"] * table["price"]
    digest.add(table.groupby(["shop", "kind"])["value"].agg(["sum", "mean", "count"]).round(2).head(500).to_csv())
    digest.add(table.pivot_table(index="day", columns="kind", values="amount", aggfunc="sum").to_csv())
    top = table.sort_values(["value", "product", "shop", "day"], ascending=False).drop_duplicates("product")
    digest.add(top.head(200).to_csv(index=False))
    daily = table.groupby("day")["value"].sum().rolling(7).mean().dropna().round(2)
    digest.add(daily.to_json())
    digest.add(str(table["name"].str.upper().str.len().sum()))
    digest.show("pandas")


if __name__ == "__main__":
    main()
