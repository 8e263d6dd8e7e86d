"""A small service: answers each line `CUSTOMER PAGE` of its standard input with the size of that page of the shop."""

import functools
import sys

ROWS = 100  # on a page


def load(count: int) -> list[tuple[str, int]]:
    """The catalogue: a name and a price in cents each."""
    return [(f"product {number}", 100 + number * 7919 % 9900) for number in range(count)]


CATALOGUE = load(200_000)


def discount(customer: str) -> int:
    """Per cent."""
    return sum(customer.encode()) % 20


@functools.cache
def page(customer: str, number: int) -> str:
    """A page of the catalogue with the customer's own prices."""
    rest = 100 - discount(customer)
    products = CATALOGUE[number * ROWS : (number + 1) * ROWS]
    rows = [f"<tr><td>{name}</td><td>{price * rest // 100 / 100:.2f}</td></tr>" for name, price in products]
    return "<table>" + "".join(rows) + "</table>"


def main() -> None:
    """Until there are no more requests."""
    for request in sys.stdin:
        customer, number = request.split()
        print(len(page(customer, int(number))))


if __name__ == "__main__":
    main()
