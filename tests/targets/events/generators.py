"""Generators that are exhausted, closed, thrown into, dropped while suspended, delegated to and never begun."""


def count(n):
    total = 0
    for i in range(n):
        total += i
        yield i
    return total


def guarded(log):
    try:
        while True:
            yield len(log)
    except ValueError as error:
        log.append(str(error))
        yield -1
    finally:
        log.append("done")


def delegate(n):
    result = yield from count(n)
    yield result


def echo():
    got = None
    while got != "stop":
        got = yield got


def dropped():
    generator = guarded([])
    next(generator)


def main():
    print(list(count(4)), sum(count(5)))
    log = []
    generator = guarded(log)
    next(generator)
    print(generator.throw(ValueError("thrown")))
    generator.close()
    closed = guarded(log)
    next(closed)
    closed.close()
    closed.close()
    never_begun = guarded(log)
    never_begun.close()
    del never_begun
    dropped()
    print(list(delegate(3)))
    talk = echo()
    next(talk)
    talk.send("a")
    try:
        talk.send("stop")
    except StopIteration:
        log.append("stopped")
    failing = count(2)
    next(failing)
    try:
        failing.throw(KeyError("into"))
    except KeyError:
        log.append("out")
    print(log, [i * i for i in count(3)], {i: i for i in count(2)}, max(i for i in count(3)))
    unfinished = count(3)
    for i in unfinished:
        if i == 1:
            break
    return unfinished


kept = main()
