"""Arrays of a GiB in all that come and go."""

import numpy


def samples(count):
    return numpy.random.default_rng(1).random(count)


def smoothed(values):
    return numpy.convolve(values, numpy.ones(5) / 5, mode="same")


def ranks(values):
    return numpy.argsort(values)


data = samples(24_000_000)
smooth = smoothed(data)
order = ranks(smooth)
total = float(data[order[::1000]].sum())
del data
print(round(total, 3), len(smooth))
