"""Recursion: plain, mutual and through C."""


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def even(n):
    return True if n == 0 else odd(n - 1)


def odd(n):
    return False if n == 0 else even(n - 1)


def through_c(n):
    return [n] if n == 0 else list(map(through_c, [n - 1]))


print(fib(10), even(30), odd(7), through_c(6))
