"""sympy: expand, factor, integrate, differentiate and solve, with its caches cleared between rounds."""

from _common import Digest, rounds
from sympy import Matrix, cos, diff, exp, expand, factor, integrate, series, simplify, sin, solve, symbols
from sympy.core.cache import clear_cache

X, Y, Z = symbols("x y z")


def algebra(power: int, digest: Digest) -> None:
    """One round of work on polynomials of degree `power`."""
    product = expand((1 + X + 2 * Y + 3 * Z) ** power)
    digest.add(str(product))
    digest.add(str(factor(expand((X + Y) ** 4 * (X - 2 * Y) ** 3))))
    digest.add(str(diff(sin(X) ** power * cos(Y * X), X, 3)))


def calculus(power: int, digest: Digest) -> None:
    """Integrals, series and equations."""
    digest.add(str(integrate(X**3 * exp(X) + sin(X) ** 2 * cos(X) ** 3, X)))
    digest.add(str(integrate((X**2 + power) / ((X + 1) * (X**2 + 4)), X)))
    digest.add(str(series(exp(sin(X)), X, 0, 8)))
    digest.add(str(solve(X**4 - power * X**2 + 3, X)))
    digest.add(str(simplify(Matrix([[X, 1, Y], [1, Y, X], [Y, X, 1]]).det() ** 2)))


def main() -> None:
    digest = Digest()
    for number in range(rounds(2, 0)):
        clear_cache()
        algebra(11 + number % 3, digest)
        calculus(5 + number, digest)
    digest.add(str(expand((X + Y + Z) ** 6)))
    digest.add(str(integrate(X * exp(X), X)))
    digest.show("sympy")


if __name__ == "__main__":
    main()
