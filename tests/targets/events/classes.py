"""Class bodies, metaclasses, decorators, descriptors, comprehensions, lambdas, exec, eval and dunder methods."""

import functools


def traced(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def tagged(tag):
    def decorate(cls):
        cls.tag = tag
        return cls

    return decorate


class Meta(type):
    def __new__(mcls, name, bases, namespace, **extra):
        return super().__new__(mcls, name, bases, namespace)

    def __call__(cls, *args):
        return super().__call__(*args)


class Base(metaclass=Meta):
    registry = []

    def __init_subclass__(cls, **kwargs):
        Base.registry.append(cls.__name__)

    def __init__(self, value=0):
        self._value = value


@tagged("child")
class Child(Base, extra=1):
    limit = len([n for n in range(3)])

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, new):
        self._value = new

    @staticmethod
    @traced
    def double(x):
        return 2 * x

    @classmethod
    def make(cls, x):
        return cls(x)

    def __len__(self):
        return self.limit

    def __add__(self, other):
        return type(self)(self._value + other._value)

    def __eq__(self, other):
        return self._value == other._value

    def __hash__(self):
        return hash(self._value)

    def __getitem__(self, i):
        if i > 2:
            raise IndexError(i)
        return i


class Lazy:
    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner):
        return self.name


class Slotted:
    __slots__ = ("x",)
    lazy = Lazy()

    def __call__(self, *args, **kwargs):
        return args, kwargs


@functools.lru_cache(maxsize=None)
def cached(n):
    return n * n


def main():
    child = Child.make(3)
    child.value = child.value + 1
    both = child + Child(1)
    print(len(both), both == Child(5), list(child), {child: 1}[Child(4)], Child.double(4), Base.registry)
    call = Slotted()
    print(call(1, *[2], key=3), call.lazy, (lambda a, b=2: a + b)(1))
    nested = [[x + y for x in range(2)] for y in range(2)]
    sets = {x % 2 for x in range(4)}
    dicts = {k: v for k, v in zip("ab", range(2))}
    lazy = tuple(x for x in range(3) if x)
    namespace = {}
    exec("def made(n):\n    return [n, eval('n + 1')]\nresult = made(5)", namespace)
    print(nested, sets, dicts, lazy, namespace["result"], eval("sum([1, 2])"), cached(3), cached(3))
    print(functools.partial(Child.double, 5)(), functools.reduce(lambda a, b: a + b, [1, 2, 3]))


main()
