"""Long messages of frameworks: what a person reads of them."""

import pytest

from roformer_conformance.shortening import SHOWN_CHARACTERS, SHOWN_LINES, headline, shortened, values

GRAPH = """InvalidArgumentError: Graph execution error:

Detected at node roformer/embeddings/assert_less/Assert/Assert defined at (most recent call last):
  File "/env/lib/keras/src/utils/traceback_utils.py", line 65, in error_handler

  File "/env/lib/keras/src/engine/training.py", line 590, in __call__

  File "/env/lib/transformers/modeling_tf_utils.py", line 429, in run_call_with_unpacked_inputs

indices[1,2] = 31 is not in [0, 31)
\t [[{{node roformer/embeddings/Gather}}]] [Op:__inference_run_call_with_unpacked_inputs_1234]"""
LAYER = """InvalidArgumentError: Exception encountered when calling layer 'embeddings' (type TFRoFormerEmbeddings).

indices[1,2] = 31 is not in [0, 31) [Op:ResourceGather] name:

Call arguments received by layer 'embeddings' (type TFRoFormerEmbeddings):
  • input_ids=tf.Tensor(shape=(2, 3), dtype=int32)
  • position_ids=None
  • training=False"""
TRACED = """TypeError: in user code:

    File "/env/lib/transformers/modeling_tf_utils.py", line 429, in run_call_with_unpacked_inputs  *
        return func(self, **unpacked_inputs)
               ~~~~^^^^^^^^^^^^^^^^^^^^^^^^^
    File "/env/lib/transformers/modeling_tf_roformer.py", line 10, in call  *
        raise TypeError(
            "two lines")

    TypeError: labels has the wrong type
checks/inputs.py:10 in call: model(inputs)"""
CALLING = "Exception encountered when calling layer 'a'."
SENTENCE = "indices[1,2] = 31 is not in [0, 31)"


@pytest.mark.parametrize(("message", "kept"), [(GRAPH, [SENTENCE]), (LAYER, [SENTENCE])])
def test_the_sentence_that_matters_stays_and_stack_traces_go(message: str, kept: list[str]) -> None:
    """Frames, arguments of layers and names of nodes are left out, and how many lines these were is said."""
    short = shortened(message)
    assert all(sentence in short for sentence in kept)
    assert short.startswith("InvalidArgumentError: ")
    assert not any(part in short for part in ("traceback_utils", "input_ids=tf.Tensor", "{{node", "Detected at"))
    assert short.endswith("lines are left out here; --json and --failures keep the whole message]")


def test_the_source_below_a_frame_goes_with_it_and_our_own_frames_stay() -> None:
    """An exception inside a traced function: its last line and where the suite called."""
    assert shortened(TRACED).splitlines()[:-1] == [
        "TypeError: in user code:",
        "",
        "    TypeError: labels has the wrong type",
        "checks/inputs.py:10 in call: model(inputs)",
    ]


def test_where_the_suite_waited_for_a_process_is_left_out() -> None:
    """The frames of the process's own side of the border tell nobody anything; those of an adapter stay."""
    waited = "site/roformer_conformance/process/adapter.py:103 in ask: raise _raised(**answer)"
    assert shortened(f"ValueError: no\nmine/adapter.py:7 in load: build()\n{waited}").splitlines()[:2] == [
        "ValueError: no",
        "mine/adapter.py:7 in load: build()",
    ]
    assert "answer" not in shortened(f"ValueError: no\n{waited}")


def test_a_message_of_our_own_stays_as_it_is() -> None:
    """Several short lines, empty ones among them, are nobody's stack trace."""
    message = "hidden_states.1[0, 1, 2] is off\n\nlooks like: gelu_new\n  a File of the user\n"
    assert shortened(message) == message


def test_many_lines_and_long_lines_are_cut_in_the_middle() -> None:
    """The beginning says what happened, the end often which values; numbers of lines that are gone are said."""
    short = shortened("\n".join(f"line {number}" for number in range(50)))
    assert short.splitlines()[0] == "line 0"
    assert "line 49" in short
    assert len(short.splitlines()) == SHOWN_LINES + 1
    assert f"[{50 - SHOWN_LINES} lines are left out" in short
    long = shortened("begin" + "x" * 5000 + "end")
    assert long.startswith("begin")
    assert long.endswith("end")
    assert len(long) <= SHOWN_CHARACTERS + 3


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (GRAPH, f"InvalidArgumentError: Graph execution error: {SENTENCE}"),
        (LAYER, f"calling layer 'embeddings' (type TFRoFormerEmbeddings). {SENTENCE}"),
        (TRACED, "TypeError: in user code: TypeError: labels has the wrong type"),
        (
            "X: Exception encountered when calling layer 'a'.\n\nCall arguments received by layer 'a':",
            "calling layer 'a'.",
        ),
        ("ValueError: no\nmore", "ValueError: no"),
        ("", ""),
    ],
)
def test_a_headline_says_what_happened(message: str, told: str) -> None:
    """A first line that only announces is joined with the one that it announces."""
    assert told in headline(message)
    assert "\n" not in headline(message)
    assert "left out" not in headline(message)


def test_numbers_are_told_in_the_digits_that_tell_them_apart() -> None:
    """A float32 has nine; two numbers of float64 that differ behind them are told whole."""
    assert values(0.10000000149011612, 0.36455279644360267) == "got 0.100000001, expected 0.364552796"
    assert values(0.1, 0.1 + 1e-16) == "got 0.1, expected 0.1000000000000001"
    assert values(float("nan"), 2.0) == "got nan, expected 2"
