"""sqlglot: parse, optimise against a schema and transpile many analytical statements."""

from _common import Digest, rounds
from sqlglot import parse_one
from sqlglot.optimizer import optimize

SCHEMA = {
    "orders": {"id": "INT", "customer": "INT", "placed": "DATE", "state": "TEXT", "total": "DECIMAL"},
    "items": {"order_id": "INT", "product": "INT", "quantity": "INT", "price": "DECIMAL", "discount": "DECIMAL"},
    "products": {"id": "INT", "name": "TEXT", "maker": "INT", "size": "INT", "colour": "TEXT"},
    "customers": {"id": "INT", "name": "TEXT", "country": "TEXT", "segment": "TEXT", "balance": "DECIMAL"},
}

REVENUE = """
WITH recent AS (
  SELECT o.id, o.customer, o.total FROM orders AS o
  WHERE o.placed >= DATE '2024-{month:02d}-01' AND o.state <> 'void' AND (o.total > {floor} OR o.total + 0 = {floor})
), lines AS (
  SELECT i.order_id, i.product, SUM(i.quantity * i.price * (1 - i.discount)) AS revenue
  FROM items AS i GROUP BY i.order_id, i.product
)
SELECT c.country, p.colour, COUNT(DISTINCT r.id) AS orders, SUM(l.revenue) AS revenue,
       RANK() OVER (PARTITION BY c.country ORDER BY SUM(l.revenue) DESC) AS place,
       CASE WHEN SUM(l.revenue) > {floor} * 10 THEN 'large'
            WHEN SUM(l.revenue) > {floor} THEN 'fair' ELSE 'small' END AS class
FROM recent AS r
JOIN lines AS l ON l.order_id = r.id
JOIN products AS p ON p.id = l.product AND p.size BETWEEN {month} AND {month} + 20
LEFT JOIN customers AS c ON c.id = r.customer
WHERE c.segment IN ('shop', 'web', 'agent{month}') AND p.name LIKE 'a%'
GROUP BY c.country, p.colour
HAVING SUM(l.revenue) > {floor}
ORDER BY revenue DESC, c.country
LIMIT {floor}
"""

NESTED = """
SELECT name, (SELECT MAX(o.total) FROM orders AS o WHERE o.customer = c.id AND o.total < {floor}) AS best
FROM customers AS c
WHERE c.balance > {month} * 100
  AND EXISTS (SELECT 1 FROM orders AS o JOIN items AS i ON i.order_id = o.id
              WHERE o.customer = c.id AND i.quantity > {month}
                AND (i.discount > 0.1 AND o.state = 'a' OR i.price > {floor}))
  AND c.id IN (SELECT customer FROM orders WHERE EXTRACT(YEAR FROM placed) = 2024
               GROUP BY customer HAVING COUNT(*) > {month})
"""


def main() -> None:
    digest = Digest()
    for number in range(rounds(36)):
        values = {"month": number % 12 + 1, "floor": 10 + number}
        for text in (REVENUE, NESTED):
            tree = optimize(parse_one(text.format(**values)), schema=SCHEMA)
            digest.add(tree.sql("spark", pretty=True))
            digest.add(tree.sql("duckdb"))
    digest.show("sqlglot")


if __name__ == "__main__":
    main()
