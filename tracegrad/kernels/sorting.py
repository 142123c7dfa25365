"""The order that sorts, by digits: in eight rounds, whatever the numbers are, and ties keep their order.

A number becomes a whole number of 64 bits, its key, in the same order: the bits of a float64 that is not negative are
one; of a negative one they are when all but the sign are turned around. Both zeros have one key, and so have all NaN,
the last of all. Begin with `argsort_blocks`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


def argsort_blocks(x, outer, length, inner, shape):
    """The order that sorts numbers no wider than float64 along the axis that has `length`."""
    flat = np.ascontiguousarray(x).reshape(x.size)
    out = np.empty(x.size, np.int64)
    row, keys, order = np.empty(length, np.float64), np.empty(length, np.int64), np.empty(length, np.int64)
    other_keys, other_order, counts = keys.copy(), order.copy(), np.empty((8, 256), np.int64)
    bits = row.view(np.int64)
    for o in range(outer):
        for i in range(inner):
            start = o * length * inner + i
            for k in range(length):
                row[k] = flat[start + k * inner]
            for k in range(length):
                key = bits[k]
                if key < 0:
                    key = key ^ 0x7FFFFFFFFFFFFFFF
                if row[k] == 0:
                    key = 0
                if row[k] != row[k]:
                    key = 0x7FFFFFFFFFFFFFFF
                keys[k] = key
            sort_keys(keys, order, other_keys, other_order, counts)
            for k in range(length):
                out[start + k * inner] = order[k]
    return out.reshape(shape)


def argsort_integers(x, outer, length, inner, shape, turned):
    """As `argsort_blocks` for integers of 64 bits; `turned` are the bits that make a key of one."""
    flat = np.ascontiguousarray(x).reshape(x.size).view(np.int64)
    out = np.empty(x.size, np.int64)
    keys, order = np.empty(length, np.int64), np.empty(length, np.int64)
    other_keys, other_order, counts = keys.copy(), order.copy(), np.empty((8, 256), np.int64)
    for o in range(outer):
        for i in range(inner):
            start = o * length * inner + i
            for k in range(length):
                keys[k] = flat[start + k * inner] ^ turned
            sort_keys(keys, order, other_keys, other_order, counts)
            for k in range(length):
                out[start + k * inner] = order[k]
    return out.reshape(shape)


def sort_keys(keys, order, other_keys, other_order, counts):
    """The order of the keys into `order`; all arrays are room to work in."""
    n = keys.size
    for k in range(n):
        order[k] = k
    if n <= 100:
        for k in range(1, n):
            key, place = keys[k], k
            while place > 0 and keys[place - 1] > key:
                keys[place], order[place] = keys[place - 1], order[place - 1]
                place -= 1
            keys[place], order[place] = key, k
    else:
        count_digits(keys, counts)
        swapped = False
        for digit in range(8):
            shift, offset = 8 * digit, 128 if digit == 7 else 0
            places = counts[digit]
            if places[((keys[0] >> shift) + offset) & 255] < n:
                total = 0
                for value in range(256):
                    number = places[value]
                    places[value] = total
                    total += number
                if swapped:
                    put_in_place(other_keys, other_order, keys, order, places, shift, offset)
                else:
                    put_in_place(keys, order, other_keys, other_order, places, shift, offset)
                swapped = not swapped
        if swapped:
            for k in range(n):
                order[k] = other_order[k]


def count_digits(keys, counts):
    """How often each of the eight digits has each of its values; the first digit of a negative number is less."""
    for digit in range(8):
        for value in range(256):
            counts[digit, value] = 0
    for k in range(keys.size):
        key = keys[k]
        for digit in range(7):
            counts[digit, (key >> (8 * digit)) & 255] += 1
        counts[7, ((key >> 56) + 128) & 255] += 1


def put_in_place(keys, order, to_keys, to_order, places, shift, offset):
    """Keys and what goes with them to where their digit belongs, one behind the other."""
    for k in range(keys.size):
        digit = ((keys[k] >> shift) + offset) & 255
        place = places[digit]
        to_keys[place], to_order[place] = keys[k], order[k]
        places[digit] = place + 1
