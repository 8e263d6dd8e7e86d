"""So many requests for shop.py, the same each time: of customers who look at 2,000 pages, the first ones most."""

import random
import sys

chance = random.Random(137)
for _ in range(int(sys.argv[1])):
    print(f"customer-{chance.randrange(1_000_000)}", min(int(chance.expovariate(0.01)), 1999))
