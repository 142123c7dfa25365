"""The order that sorts, by digits: in eight rounds, whatever the numbers are, and ties keep their order.

A number becomes a whole number of 64 bits, its key, in the same order: the bits of a float64 that is not negative are
one; of a negative one they are when all but the sign are turned around. Both zeros have one key, and so have all NaN,
the last of all. The lower half of the keys is sorted first and then, in the order found, the upper half: so a pair of
half a key and its place is one number of 64 bits. Pairs are moved between the memory of the result and `room`, which is
as many numbers of 64 bits, whatever their type. Begin with `argsort_floats`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


def argsort_floats(x, outer, length, inner, room, out):
    """The order that sorts float64 along the axis that has `length`."""
    bits = np.ascontiguousarray(x).reshape(x.size).view(np.int64)
    sort_blocks(bits, outer, length, inner, True, 0, room, out)


def argsort_blocks(x, outer, length, inner, room, out):
    """As `argsort_floats` for numbers that are narrower."""
    flat = np.ascontiguousarray(x).reshape(x.size)
    wide = np.empty(x.size, np.float64)
    for k in range(x.size):
        wide[k] = flat[k]
    sort_blocks(wide.view(np.int64), outer, length, inner, True, 0, room, out)


def argsort_integers(x, outer, length, inner, turned, room, out):
    """As `argsort_floats` for integers of 64 bits; `turned` are the bits that make a key of one."""
    bits = np.ascontiguousarray(x).reshape(x.size).view(np.int64)
    sort_blocks(bits, outer, length, inner, False, turned, room, out)


def key_of(bits, floating, turned):
    """The key of a number."""
    if not floating:
        return bits ^ turned
    size = bits & 0x7FFFFFFFFFFFFFFF
    if size == 0:
        return size
    if size > 0x7FF0000000000000:
        return size | 0x7FFFFFFFFFFFFFFF
    return bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)  # nobody can foretell which way an `if` would go


def sort_blocks(bits, outer, length, inner, floating, turned, room, out):
    """The order of the keys of `bits` along the axis that has `length`."""
    order, pairs = out.reshape(out.size), room.view(np.int64)
    if length <= 100:
        sort_short(bits, outer, length, inner, floating, turned, pairs, order)
    elif inner == 1:
        rows = order.reshape((outer, length))
        sort_long(bits, outer, length, inner, floating, turned, rows, 1, pairs, order)
    else:
        rows = np.empty((1, length), np.int64)
        sort_long(bits, outer, length, inner, floating, turned, rows, 0, pairs, order)


def sort_short(bits, outer, length, inner, floating, turned, keys, order):
    """One key after the other is put where it belongs among those before it."""
    found = np.empty(length, np.int64)
    for o in range(outer):
        for i in range(inner):
            start = o * length * inner + i
            for k in range(length):
                key, place = key_of(bits[start + k * inner], floating, turned), k
                while place > 0 and keys[place - 1] > key:
                    keys[place], found[place] = keys[place - 1], found[place - 1]
                    place -= 1
                keys[place], found[place] = key, k
            for k in range(length):
                order[start + k * inner] = found[k]


def sort_long(bits, outer, length, inner, floating, turned, rooms, apart, pairs, order):
    """By digits. A row of `rooms` has room for pairs; if they lie `apart`, each where the order comes."""
    counts = np.empty((4, 256), np.int64)
    for o in range(outer):
        room = rooms[o * apart]
        for i in range(inner):
            start = max(o * length * inner + i, 0)
            for k in range(length):
                key = key_of(bits[start + k * inner], floating, turned)
                room[k] = (((key & 0xFFFFFFFF) - 0x80000000) << 32) | k
            if sort_pairs(room, pairs, counts):
                pair_upper_halves(bits, start, inner, floating, turned, pairs, room)
            else:
                pair_upper_halves(bits, start, inner, floating, turned, room, room)
            if sort_pairs(room, pairs, counts):
                put_places(pairs, order, start, inner)
            else:
                put_places(room, order, start, inner)


def pair_upper_halves(bits, start, inner, floating, turned, found, pairs):
    """In the order found, the upper halves of the keys and their places."""
    for k in range(found.size):
        place = found[k] & 0xFFFFFFFF
        key = key_of(bits[start + place * inner], floating, turned)
        pairs[k] = ((key >> 32) << 32) | place


def put_places(found, order, start, inner):
    """The places of pairs, where their order is wanted."""
    for k in range(found.size):
        order[start + k * inner] = found[k] & 0xFFFFFFFF


def sort_pairs(pairs, others, counts):
    """Sort pairs by their upper half; whether they stand among the others then."""
    count_digits(pairs, counts)
    moved = False
    for digit in range(4):
        shift, offset, starts = 32 + 8 * digit, 128 if digit == 3 else 0, counts[digit]
        if starts[((pairs[0] >> shift) + offset) & 255] < pairs.size:
            total = 0
            for value in range(256):
                number = starts[value]
                starts[value] = total
                total += number
            if moved:
                put_in_place(others, pairs, starts, shift, offset)
            else:
                put_in_place(pairs, others, starts, shift, offset)
            moved = not moved
    return moved


def count_digits(pairs, counts):
    """How often each of the four digits has each of its values; the first digit of a negative number is less."""
    for digit in range(4):
        for value in range(256):
            counts[digit, value] = 0
    for k in range(pairs.size):
        pair = pairs[k]
        for digit in range(3):
            counts[digit, (pair >> (32 + 8 * digit)) & 255] += 1
        counts[3, ((pair >> 56) + 128) & 255] += 1


def put_in_place(pairs, to_pairs, starts, shift, offset):
    """Pairs to where their digit belongs, one behind the other."""
    for k in range(pairs.size):
        pair = pairs[k]
        digit = ((pair >> shift) + offset) & 255
        place = starts[digit]
        to_pairs[place] = pair
        starts[digit] = place + 1
