"""A stack of images of 2.4 GiB, made floats of one brightness and cut to their middle."""

import numpy


def images(count):
    return numpy.random.default_rng(3).integers(0, 256, (count, 1024, 1024, 3), dtype=numpy.uint8)


def floats(stack):
    return stack.astype(numpy.float32)


def levelled(stack):
    stack /= stack.mean(axis=(1, 2, 3), keepdims=True)
    return stack


def middles(stack):
    return stack[:, 256:768, 256:768].copy()


stack = images(160)
bright = levelled(floats(stack))
middle = middles(bright)
del bright
print(middle.shape, round(float(middle.mean()), 2))
