"""Whether operations are recorded: with blocks, decorators, threads."""

import threading

import tracegrad as tg


def recorded():
    x = tg.ones(1, requires_grad=True)
    return (x * 2).requires_grad


def test_no_grad_as_a_block_and_enable_grad_inside_it():
    with tg.no_grad():
        assert not recorded() and not tg.is_grad_enabled()
        with tg.enable_grad():
            assert recorded()
        assert not recorded()
    assert recorded()


def test_one_object_may_be_entered_twice():
    off = tg.no_grad()
    with off:
        with off:
            assert not recorded()
        assert not recorded()
    assert recorded()


def test_as_decorators():
    assert not tg.no_grad()(recorded)()
    assert not tg.no_grad(recorded)()
    with tg.no_grad():
        assert tg.enable_grad()(recorded)()
        assert tg.set_grad_enabled(True)(recorded)()
        assert not recorded()
    assert tg.no_grad()(recorded).__name__ == "recorded"


def test_the_mode_comes_back_after_an_exception():
    try:
        with tg.no_grad():
            raise KeyError
    except KeyError:
        pass
    assert recorded()


def test_set_grad_enabled_as_a_statement_and_as_a_block():
    with tg.set_grad_enabled(False):
        assert not recorded()
    assert recorded()
    tg.set_grad_enabled(False)
    try:
        assert not recorded()
    finally:
        tg.set_grad_enabled(True)
    assert recorded()


def test_the_mode_belongs_to_a_thread():
    found = []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: found.append(recorded()))
        thread.start()
        thread.join()
    assert found == [True]
