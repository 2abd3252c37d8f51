from pennypost.clients.screening.breaker import BreakerState, CircuitBreaker


def test_it_opens_after_failures_in_a_row_and_is_tried_by_one() -> None:
    breaker = CircuitBreaker(3, 30)
    for now in (1, 2):
        assert breaker.admits(now)
        assert not breaker.failed(now)
    breaker.succeeded()
    for now in (3, 4):
        breaker.failed(now)
    assert breaker.admits(5)
    assert breaker.failed(5)
    assert not breaker.admits(34)
    assert breaker.admits(35)
    assert not breaker.admits(35)  # one tries
    assert not breaker.failed(36)
    assert not breaker.admits(65)
    assert breaker.admits(66)
    assert breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.admits(66)


def test_who_gave_up_lets_the_next_one_try() -> None:
    breaker = CircuitBreaker(1, 30)
    breaker.failed(0)
    assert breaker.admits(30)
    breaker.gave_up()
    assert breaker.admits(30)


def test_a_late_failure_does_not_prolong_the_pause() -> None:
    breaker = CircuitBreaker(1, 30)
    breaker.failed(0)
    breaker.failed(20)  # a question from before
    assert breaker.admits(30)
