"""RFC 5256 §3: ORDEREDSUBJECT and REFERENCES; REFS as Dovecot has it."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennypost.message.thread_trees import MAX_CLIMB, Forest, Threaded, ordered_subject, references, refs
from pennypost.proto.imap.responses.thread import thread

Message = tuple[int, str, bool, Sequence[int]]
"""Sent date, base subject, whether it is a reply, own id and references."""


def threaded(messages: Sequence[Message]) -> Threaded:
    return Threaded(
        [one[0] for one in messages],
        [one[1] for one in messages],
        [one[2] for one in messages],
        [one[3] for one in messages],
    )


def told(algorithm: Callable[[Threaded], Forest], messages: Sequence[Message]) -> str:
    """Give what THREAD says of messages numbered from 1."""
    forest = algorithm(threaded(messages))
    line = thread(forest.roots, forest.children, range(1, len(messages) + 1))
    return line.decode().removeprefix("* THREAD").strip()


def test_messages_of_one_subject_are_children_of_the_first_by_date() -> None:
    messages: list[Message] = [(5, "A", False, ()), (1, "B", False, ()), (3, "A", True, ()), (4, "A", True, ())]
    assert told(ordered_subject, messages) == "(2)(3 (4)(1))"


def test_of_equal_dates_the_order_of_the_mailbox_counts() -> None:
    messages: list[Message] = [(1, "A", False, ()), (1, "B", False, ()), (1, "A", False, ())]
    assert told(ordered_subject, messages) == "(1 3)(2)"


def test_replies_are_children_of_what_they_answer() -> None:
    messages: list[Message] = [(1, "A", False, [1]), (2, "A", True, [2, 1]), (4, "A", True, [3, 1, 2])]
    messages += [(3, "A", True, [4, 1])]
    assert told(references, messages) == "(1 (2 3)(4))"
    assert told(refs, messages) == "(1 (2 3)(4))"


def test_replies_that_come_first_are_tied_all_the_same() -> None:
    messages: list[Message] = [(3, "A", True, [3, 1, 2]), (2, "A", True, [2, 1]), (1, "A", False, [1])]
    assert told(references, messages) == "(3 2 1)"


def test_siblings_of_a_parent_that_is_not_there_stay_together() -> None:
    messages: list[Message] = [(1, "A", True, [3, 9]), (2, "A", True, [4, 9])]
    assert told(references, messages) == "((1)(2))"
    assert told(refs, messages) == "((1)(2))"


def test_an_only_child_of_a_parent_that_is_not_there_stands_alone() -> None:
    assert told(references, [(1, "A", True, [3, 8, 9])]) == "(1)"


def test_missing_messages_in_the_middle_are_left_out() -> None:
    messages: list[Message] = [(1, "A", False, [1]), (2, "A", True, [3, 1, 8, 9]), (3, "A", True, [4, 1, 8])]
    assert told(references, messages) == "(1 (2)(3))"


def test_threads_of_one_subject_are_merged() -> None:
    # RFC 5256 §3 (5)(C): a reply below what is none; two that are alike below a dummy.
    assert told(references, [(1, "A", False, [1]), (2, "A", True, [2])]) == "(1 2)"
    assert told(references, [(1, "A", True, [1]), (2, "A", False, [2])]) == "(2 1)"
    assert told(references, [(1, "A", False, [1]), (2, "A", False, [2]), (3, "A", False, [3])]) == "((1)(2)(3))"
    assert told(references, [(1, "A", True, [1, 9]), (2, "A", True, [2, 9]), (3, "A", False, [3])]) == "((1)(2)(3))"
    assert told(references, [(1, "", False, [1]), (2, "", False, [2])]) == "(1)(2)"
    assert told(refs, [(1, "A", False, [1]), (2, "A", True, [2])]) == "(1)(2)"


def test_two_dummies_of_one_subject_become_one() -> None:
    messages: list[Message] = [(1, "A", True, [1, 8]), (2, "A", True, [2, 8]), (3, "A", True, [3, 9])]
    messages += [(4, "A", True, [4, 9])]
    assert told(references, messages) == "((1)(2)(3)(4))"


def test_a_double_message_id_belongs_to_the_first() -> None:
    messages: list[Message] = [(1, "A", False, [7]), (2, "B", False, [7]), (3, "A", True, [3, 7])]
    assert told(references, messages) == "(1 3)(2)"


def test_no_loop_is_closed() -> None:
    messages: list[Message] = [(1, "A", False, [1, 2]), (2, "B", False, [2, 1]), (3, "C", False, [3, 3])]
    assert sorted(told(refs, messages).replace("(", " ").replace(")", " ").split()) == ["1", "2", "3"]


def test_a_link_that_others_gave_is_broken_before_loops_are_looked_for() -> None:
    # RFC 5256 §3 (1)(B): 3 was put below 1 by the references of 2; its own make a loop, so it has no parent.
    messages: list[Message] = [(3, "", False, [1]), (1, "", False, [2, 1, 3]), (2, "", False, [3, 2])]
    assert told(references, messages) == "(3 2)(1)"


def test_threads_stand_in_the_order_of_their_newest_message() -> None:
    messages: list[Message] = [(1, "A", False, [1]), (2, "B", False, [2]), (3, "A", True, [3, 1])]
    assert told(refs, messages) == "(2)(1 3)"
    assert told(references, messages) == "(1 3)(2)"


@pytest.mark.parametrize("algorithm", [references, refs])
def test_depth_is_no_matter(algorithm: Callable[[Threaded], Forest]) -> None:
    count = 20 * MAX_CLIMB
    chain: list[Message] = [(n, "A", n > 0, [n + 1, n] if n else [1]) for n in range(count)]
    numbers = " ".join(str(n + 1) for n in range(count))
    assert told(algorithm, chain) == f"({numbers})"
    assert told(algorithm, list(reversed(chain))) == "(" + " ".join(str(count - n) for n in range(count)) + ")"


_IDS = st.integers(0, 12)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["", "A", "B"]), st.booleans(), st.lists(_IDS, max_size=5)),
        max_size=20,
    )
)
def test_every_message_is_told_once(messages: list[Message]) -> None:
    for algorithm in (ordered_subject, references, refs):
        line = told(algorithm, messages)
        numbers = line.replace("(", " ").replace(")", " ").split()
        assert sorted(map(int, numbers)) == list(range(1, len(messages) + 1))
        assert line.count("(") == line.count(")")
