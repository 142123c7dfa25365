"""Functions over every construct that has marks, and their nestings; `log` keeps the order of evaluation.

Each is called as `function(log, n)` with a few whole numbers; some raise on some of them.
"""

# ruff: noqa: B007, B020, B023, B905, C416, E731, F841, RUF012, RUF021, SIM201, SIM222, SIM300

from __future__ import annotations

import contextlib

FACTOR = 3


def seen(log, value):
    log.append(value)
    return value


# --- if


def if_only(log, n):
    y = 1
    if n > 2:
        y = seen(log, n) * 2
    return y


def if_elif_else(log, n):
    if seen(log, n) > 3:
        y = "large"
    elif n < 0:
        y = "negative"
        log.append(y)
    elif n == 0:
        pass
    else:
        y = n
        z = y + 1
    return y


def if_unbound_after(log, n):
    if n > 1:
        a, b = n, 2
    return a + b


def if_in_if(log, n):
    t = 0
    if n > 0:
        u = n
        if n > 2:
            t = u
        else:
            v = u * 3
            t = v + 1
    else:
        if n < -1:
            t = -5
    return t


def if_deletes(log, n):
    a = n
    if n > 1:
        del a
    return a


def if_raises(log, n):
    if n > 2:
        raise ValueError(f"{seen(log, n)} is too large")
    y = n + 1
    if y < 0:
        raise KeyError
    return y


def asserts(log, n):
    if n > -2:
        assert n < 3, seen(log, "message")
    assert 0 < n < 9 and n != 2
    return n


# --- early return


def returns_at_once(log, n):
    if n > 1:
        return seen(log, n)
    return -1


def returns_nothing(log, n):
    if n > 1:
        return
    log.append("on")


def returns_in_a_chain(log, n):
    if n == 0:
        return "zero"
    if n == 1:
        log.append("one")
        return "one"
    y = n * 2
    if y > 5:
        return y
    elif y < 0:
        y = -y
    else:
        y = 7
    log.append(y)
    return y + 1


def returns_in_both(log, n):
    if n > 0:
        y = n
        return y
    else:
        return -n


def returns_or_not_in_both(log, n):
    if n > 0:
        if n > 2:
            return "far"
        log.append("near")
    else:
        if n < -1:
            return "below"
        log.append("above")
    y = seen(log, "rest")
    if n == 1:
        return y, n
    return y


def returns_or_raises(log, n):
    if n > 2:
        raise OverflowError(n)
    elif n > 0:
        return seen(log, n)
    else:
        raise IndexError(n)


def returns_from_with(log, n):
    with contextlib.suppress(ZeroDivisionError):
        if n > 2:
            return seen(log, "in")
        y = 10 / n
        if y > 4:
            return y
        log.append(y)
    return "out"


def returns_from_with_at_the_end(log, n):
    log.append(0)
    with contextlib.suppress(ZeroDivisionError):
        if n > 2:
            return seen(log, "in")
        y = 10 / n
        return y


def returns_from_try(log, n):
    try:
        if n > 2:
            return seen(log, "in")
        if n < 0:
            y = [1][n * 5]
        y = 10 / n
    except ZeroDivisionError:
        if n == 0:
            return "divided"
    except IndexError:
        y = 3
    else:
        log.append("fine")
        if n == 1:
            return y
    finally:
        log.append("finally")
        if n == 2:
            y = 12
    return y


def return_before_a_try(log, n):
    if n < 0:
        return "early"
    try:
        y = 1 / n
    except ZeroDivisionError:
        y = 0
    if n > 2:
        return y
    return -y


# --- while


def counts_down(log, n):
    total = 0
    while n > 0:
        half = n / 2
        total = total + half
        n -= 1
    return total


def while_breaks(log, n):
    k = 0
    while True:
        k += 1
        if k > n:
            break
        log.append(k)
    return k


def while_continues(log, n):
    k = total = 0
    while k < n:
        k += 1
        if k % 2:
            continue
        total += seen(log, k)
    return total


def while_else(log, n):
    k = 0
    while k < n:
        k += 1
        if k == 3:
            found = k
            break
        if k == 4:
            continue
        log.append(k)
    else:
        found = None
        log.append("else")
    return found, k


def while_returns(log, n):
    k = 0
    while True:
        k += 2
        if k > n:
            return k
        if k == 4:
            log.append(k)


def while_returns_and_breaks(log, n):
    k = 0
    while k < 5:
        k += 1
        if k == n:
            return "returned", k
        if k * k == n + 2:
            break
    else:
        k = -k
    log.append(k)
    return k


def while_with_walrus(log, n):
    while (k := n * 2) < 9:
        n += abs(k) + 1
    return n, k


def while_inside_while(log, n):
    a = 0
    while a < n:
        b = 0
        while b < a:
            b += 1
            if b == 2:
                break
            log.append((a, b))
        else:
            log.append("whole")
        a += 1
    return a


def while_asks_in_turn(log, n):
    k = 0
    while seen(log, k) < n and not seen(log, k) == 3 or k == 0:
        k += 1
    return k


def while_never(log, n):
    y = n
    while n > 100:
        y = 0
        n = 0
    return y


# --- for


def for_range(log, n):
    s = 0
    for i in range(n):
        t = i * FACTOR
        s = s + t
    return s


def for_target_read_later(log, n):
    i = "none"
    for i in range(n):
        log.append(i)
    return i


def for_target_unbound(log, n):
    for i in range(n):
        pass
    return i


def for_target_changed(log, n):
    for i in range(n):
        i = i * 10
        log.append(i)
    return i


def for_target_read_before(log, n):
    i = -1
    for i in range(i, n):
        if i == 2:
            break
    return i


def for_over_pairs(log, n):
    a = [1] * max(n, 0)
    s = 0
    for i, (p, q) in enumerate(zip(a, range(n))):
        s += i * p + q
    return s, a


def for_over_stars(log, n):
    for first, *rest in ([1, 2, 3], [n, n]):
        log.append((first, rest))
    return rest


def for_stores_items(log, n):
    a = [0, 0, 0, 0]
    for a[n] in range(3):
        log.append(list(a))
    return a


def for_stores_attributes(log, n):
    class Box:
        pass

    box = Box()
    for box.value in range(n):
        if box.value == 2:
            break
    return box.value


def for_breaks(log, n):
    for i in range(5):
        if i == n:
            break
        log.append(i)
    return i


def for_else(log, n):
    for i in range(4):
        if i == n:
            y = i
            break
    else:
        y = "none"
    return y


def for_else_without_break(log, n):
    for i in range(n):
        log.append(i)
    else:
        log.append("else")
    return 1


def for_returns(log, n):
    for i in range(4):
        if i == n:
            return i
        log.append(i)
    return "never"


def for_returns_at_once(log, n):
    for i in range(n):
        return i
    return "empty"


def for_returns_or_breaks(log, n):
    y = 0
    for i in range(6):
        y += i
        if y > n * 2:
            if i % 2:
                return "odd"
            break
        elif y == 3:
            continue
        log.append(y)
    else:
        return "else"
    return y


def for_in_for(log, n):
    s = 0
    for i in range(n):
        for j in range(i):
            if j == 2:
                break
            s += i * j
        s += j if i > 0 else 1
    return s


def return_from_inner_for(log, n):
    for i in range(4):
        for j in range(4):
            if i * j == n:
                return i, j
            if j > i:
                break
        else:
            log.append("inner else")
            continue
        log.append(i)
    else:
        log.append("else")
    return "none"


def break_in_else_of_inner_for(log, n):
    for i in range(4):
        for j in range(n):
            if j == 2:
                break
        else:
            log.append((i, "done"))
            break
        log.append(i)
    return i


def for_may_leave_in_both_arms(log, n):
    y = 0
    for i in range(6):
        if i % 2:
            if i > n:
                break
            y += 1
        else:
            if i == n:
                continue
            if i == 4 and n == 1:
                return "returned"
            y += 10
        log.append((i, y))
        y += 100
    return y


def for_skips_twice(log, n):
    for i in range(5):
        if i > 0:
            if i == n:
                continue
            log.append("a")
        if i > 1:
            if i == n + 1:
                continue
            log.append("b")
        log.append(i)
    return len(log)


def for_with_try_inside(log, n):
    for i in range(4):
        try:
            if i == n:
                break
            y = 6 // (i - 1)
        except ZeroDivisionError:
            continue
        log.append(y)
    return i


def for_with_a_try_and_ifs(log, n):
    s = 0
    for i in range(4):
        if i == 1:
            t = i
            s += t
        try:
            if s > n:
                raise ValueError(s)
            s += 2
        except ValueError:
            if i == 3:
                return s
            s -= 1
    return s


def for_raises(log, n):
    for i in range(4):
        if i == n:
            raise RuntimeError(i)
        log.append(i)
    return "fine"


def for_over_a_generator(log, n):
    def numbers():
        k = 0
        while k < 4:
            if k == n:
                return
            yield seen(log, k)
            k += 1

    s = 0
    for k in numbers():
        if k == 3:
            break
        s += k
    return s


def for_over_what_changes(log, n):
    items = [1, 2, 3]
    for item in items:
        if item == n:
            items.append(9)
        log.append(item)
    return items


def infinite_for_with_match(log, n):
    for i in range(6):
        match i + n:
            case 3:
                break
            case 4 | 5:
                continue
            case k if k > 7:
                return k
        log.append(i)
    return "after"


def loop_after_return(log, n):
    if n == 1:
        return "one"
    for i in range(n):
        if i == 2:
            return i
    while n > 0:
        n -= 2
        if n == 1:
            break
    return n


def nothing_after(log, n):
    for i in range(n):
        if i == 1:
            return
        log.append(i)


def dead_code(log, n):
    while n < 3:
        n += 1
        if n == 2:
            continue
            log.append("never")
        else:
            break
            log.append("never")
        log.append("never")
    return n
    log.append("never")


# --- choices


def conditional(log, n):
    y = seen(log, "a") if seen(log, n) > 1 else seen(log, "b")
    return y


def conditional_nested(log, n):
    return ("neg" if n < 0 else "small" if n < 3 else seen(log, "large")) + ("!" if n else "?")


def and_or(log, n):
    a = seen(log, n) and seen(log, 0) or seen(log, [])
    b = n or None or "last"
    c = n and n > 1 and seen(log, "c") and n
    return a, b, c


def nots(log, n):
    return not n, not (n and seen(log, 2)), not n < 2, not (n > 1 or n < 0)


def chained(log, n):
    a = seen(log, 0) < seen(log, n) <= seen(log, 2) < seen(log, 5)
    b = 0 < n < 3 != n
    c = 1 in [n, 1] in [[n, 1]]
    d = n is n is not None
    return a, b, c, d


def chained_in_tests(log, n):
    if 0 <= seen(log, n) < 3 and not 1 < n:
        log.append("in")
    while -1 < n < 2:
        n += 1
    return n if 0 < n < 9 else -n


def walrus_in_choices(log, n):
    a = (y := n) if n > 1 else (y := 2)
    b = n and (z := n + 1)
    c = 0 < (w := n) < (v := 3)
    return a, b, c, y, w


def walrus_in_choices_unbound(log, n):
    b = n > 1 and (z := n + 1)
    return z


def choices_in_calls(log, n):
    return max(n if n > 0 else 0, *([1] if n else [2, 3]), key=lambda v: -v if n > 1 else v)


def choices_that_raise(log, n):
    for i in range(3):
        try:
            y = 1 / (n - i) if i else [0][n]
            log.append(y if y > 0 and 1 / (n - 2) else -y)
        except (ZeroDivisionError, IndexError) as error:
            log.append(type(error).__name__)
    return 1 < n < 1 / (n - 2) < 5


def choices_evaluated_by_whoever(log, n):
    recursive = lambda k: k if k <= 0 else (recursive(k - 1) and recursive(k - 2) or k)
    return recursive(n)


# --- comprehensions


def comprehensions(log, n):
    a = [seen(log, i) * 2 for i in range(n) if i % 2 or n > 3]
    b = {i: j for i in range(n) for j in range(i) if i and j}
    c = {i % 2 for i in a}
    return a, b, c, sum(i for i in a), any(i > 2 for i in a), all(i for i in a)


def comprehension_in_a_loop(log, n):
    total = 0
    for i in range(n):
        row = [i * j for j in range(i) if j != 1]
        i = "hidden"
        total += sum(row)
        n = [n for n in row]
    return total, n


def comprehension_with_walrus(log, n):
    a = [last := i for i in range(n)]
    return last, a


def comprehension_over_its_own_name(log, n):
    x = [1, n]
    x = [x for x in x if x]
    return x, [[y for y in range(z)] for z in range(n)]


def comprehension_names_in_loops(log, n):
    k = 2
    for i in range(n):
        t = i + k
        u = [t + v for v in range(2)]
        k = u[0] if i != 2 else k
    return k


def lazy_generators(log, n):
    t = 1
    if n > 0:
        t = 2
        g = (t * i for i in range(n))
        t = 5
    else:
        g = (seen(log, t) for _ in range(2))
    t = 7
    return list(g)


def lazy_generators_in_a_loop(log, n):
    made = []
    for i in range(n):
        t = i * 10
        made.append(t + v for v in range(2))
    return [list(g) for g in made]


# --- nested functions


def closure_in_a_loop(log, n):
    made = []
    for i in range(n):
        t = i * i
        made.append(lambda: (i, t))
        if i == 3:
            break
    return [f() for f in made]


def closure_reads_what_a_branch_stores(log, n):
    def get():
        return y

    y = 0
    if n > 1:
        y = n
    elif n < 0:
        y = "negative"
    return get()


def closure_reads_what_a_loop_stores(log, n):
    y = 0

    def get():
        return y

    for i in range(n):
        y = i * 2
        log.append(get())
    return "done"


def closure_stores_with_nonlocal(log, n):
    count = 0

    def step(k):
        nonlocal count
        if k % 2:
            count += k
            return count
        count = count - 1
        return None

    for i in range(n):
        log.append(step(i))
        if count > 3:
            break
    return count


def closures_with_structures(log, n):
    def collatz(k):
        steps = 0
        while k != 1 and steps < 20:
            if k % 2:
                k = 3 * k + 1
                steps += 1
                continue
            k //= 2
            steps += 1
        else:
            steps = -steps
        return steps

    def first(items, wanted):
        for at, item in enumerate(items):
            if item == wanted:
                return at
        return None

    a = [collatz(k) for k in range(1, n + 3)]
    return a, first(a, -1), first(a, 99)


def recursive_closure(log, n):
    def power(x, k):
        if k <= 0:
            return 1
        for _ in range(2):
            half = power(x, k // 2)
            if k > 3:
                break
        return half * half * (x if k % 2 else 1)

    return power(3, n)


def closure_with_its_own_global(log, n):
    FACTOR = 5

    def read():
        global FACTOR
        return FACTOR

    return FACTOR, read()


def lambdas(log, n):
    f = lambda k, by=n: (k if k > by else -k) and (0 < k < 9 or "no")
    return [f(k) for k in range(-1, 4)]


def decorated_closure(log, n):
    def twice(function):
        def made(k):
            for i in range(2):
                k = function(k)
                if k is None:
                    return "nothing"
            return k

        return made

    @twice
    def step(k):
        if k > 3:
            return None
        return k * 2 + 1

    return step(n)


def class_inside(log, n):
    class Counter:
        start = n if n > 1 else 0
        items = [i for i in range(2)]

        def __init__(self):
            self.count = self.start

        def step(self, by=1):
            if by > 2:
                return self
            for _ in range(by):
                self.count += 1
            return self

    return Counter().step().step(n).count, Counter.items


def local_names_asked_for(log, n):
    y = 0
    for i in range(n):
        hidden = i
        if i > 1:
            other = 3
    return sorted(k for k in locals() if not k.startswith("__tg"))


def swaps(log, n):
    a, b, c = 0, 1, n
    for _ in range(n):
        a, b = b, a + b
        if a > 3:
            a, (b, c) = b, (c, a)
    return a, b, c


def updates(log, n):
    a, d = [1, 2], {"k": 0}
    b = a
    for i in range(n):
        a += [i]
        d["k"] += i
        a[0] -= 1
        if i == 2:
            a = [i]
            del d["k"]
            d["k"] = 5
    return a, b, d


def context_in_a_loop(log, n):
    for i in range(3):
        with contextlib.suppress(IndexError):
            if i == n:
                [][1]
            log.append(i)
            if i == n + 1:
                break
    return i


def raises_through_structures(log, n):
    try:
        for i in range(3):
            if i == n:
                t = i
                while True:
                    t += 1
                    if t > 3:
                        y = t
                        raise ValueError(t)
                    log.append(t)
            y = i
    except ValueError as error:
        log.append(y)
        return error.args, i, t
    return y


def handlers_read_names(log, n):
    y = 0
    try:
        if n > 0:
            y = n
            if n > 1:
                y = y / (n - 2)
        y = 10 // n
    except ZeroDivisionError:
        return y
    return -y


def many_exits(log, n):
    for i in range(8):
        if i == 0:
            continue
        if i == n:
            return "n"
        if i == n + 1:
            break
        if i == 3:
            for j in range(i):
                if j == n + 2:
                    continue
                if j == 2:
                    return "j"
                while j < 9:
                    j += 4
                    if j == n + 6:
                        break
                    if j == 8:
                        return "while"
                else:
                    continue
                log.append((i, j))
            continue
        if i == 6:
            raise LookupError(i)
        log.append(i)
    else:
        return "else"
    return "end", i


def imports_inside(log, n):
    import math
    from math import floor as down

    return math.sqrt(max(n, 0)), down(n / 2)


def empty_body(log, n):
    if n:
        ...
    for _ in range(2):
        pass
    while n > 0:
        n -= 1
    else:
        pass


FUNCTIONS = [
    f
    for f in list(globals().values())
    if getattr(f, "__module__", None) == __name__ and getattr(f, "__name__", "seen") != "seen"
]
