"""A table of orders with text columns, joined and grouped; half of it is dropped again."""

import numpy
import pandas


def orders(rows):
    source = numpy.random.default_rng(2)
    names = [f"customer {number:06}" for number in range(50_000)]
    return pandas.DataFrame(
        {
            "customer": source.choice(names, rows),
            "amount": source.random(rows),
            "day": source.integers(0, 365, rows),
        }
    )


def totals(table):
    return table.groupby(["customer", "day"], sort=True)["amount"].sum().reset_index()


def joined(table, sums):
    return table.merge(sums, on=["customer", "day"], suffixes=("", "_total"))


table = orders(2_000_000)
sums = totals(table)
wide = joined(table, sums)
share = (wide["amount"] / wide["amount_total"]).mean()
del wide
print(round(float(share), 6), len(sums))
