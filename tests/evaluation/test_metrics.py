"""Metrics against figures worked out by hand or by other implementations."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from dizuo.evaluation.figures.bits_per_byte import bits_per_byte
from dizuo.evaluation.figures.brier import brier_score
from dizuo.evaluation.figures.calibration import calibration_error, reliability_bins
from dizuo.evaluation.figures.macro_f1 import macro_f1
from dizuo.evaluation.figures.perplexity import perplexity
from dizuo.evaluation.metrics import METRICS
from dizuo.evaluation.metrics.accuracy import accuracy
from dizuo.evaluation.metrics.chrf import chrf
from dizuo.evaluation.metrics.exact_match import exact_match
from dizuo.evaluation.metrics.number import final_number, number
from dizuo.evaluation.metrics.pairs import BETTER, LEVEL, WORSE, choices, pairs
from dizuo.evaluation.metrics.rouge_l import rouge_l
from dizuo.evaluation.metrics.token_f1 import token_f1

ITEM_METRICS = ("accuracy", "chrf", "exact_match", "number", "rouge_l", "token_f1")


@pytest.mark.parametrize("name", ITEM_METRICS)
def test_every_item_counts_and_an_empty_answer_is_wrong_not_missing(name: str) -> None:
    values = METRICS.load(name).items(["", "42 apples", "\u0000"], [["42 apples"], ["42 apples"], ["42 apples"]])
    assert values.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("name", ITEM_METRICS)
def test_the_best_reference_counts(name: str) -> None:
    assert METRICS.load(name).items(["7 cats"], [["9 dogs", "7 cats"]]).tolist() == [1.0]


def test_accuracy_strips_white_space_only() -> None:
    assert accuracy([" sport\n", "Sport", "sports"], [["sport"]] * 3).tolist() == [1.0, 0.0, 0.0]


def test_a_pair_is_right_wrong_or_level_which_counts_a_half() -> None:
    said = choices(np.array([0.5, 0.0, -2.0]))
    assert said == [BETTER, LEVEL, WORSE]
    assert pairs(said, [[BETTER]] * 3).tolist() == [1.0, 0.5, 0.0]


def test_exact_match_folds_case_white_space_and_unicode_forms() -> None:
    answers = ["ＡＢＣ  d", "Straße", "a b c"]
    assert exact_match(answers, [["abc D"], ["STRASSE"], ["abc"]]).tolist() == [1.0, 1.0, 0.0]


def test_token_f1_counts_shared_words_and_every_chinese_character_is_one() -> None:
    # 2 shared of 3 and 4 words: 2·2 / 7.
    assert token_f1(["the red cat"], [["the red big dog"]])[0] == pytest.approx(4 / 7)
    assert token_f1(["我喜欢猫"], [["我喜欢狗"]])[0] == pytest.approx(0.75)


def test_rouge_l_needs_the_order() -> None:
    # Lin, 2004, section 3.1: "police kill the gunman" against "police killed the gunman" shares 3 of 4 in order.
    assert rouge_l(["police kill the gunman"], [["police killed the gunman"]])[0] == pytest.approx(0.75)
    assert rouge_l(["the gunman kill police"], [["police killed the gunman"]])[0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("answer", "reference", "value"),
    [
        # sacrebleu 2.6.0: sentence_chrf(answer, [reference]).score / 100
        ("the cat sat on the mat", "the cat is on the mat", 0.6457794),
        ("今天天气很好", "今天天气不好", 0.3777778),
        ("abc", "abcdefgh", 0.3225058),
        ("", " ", 0.0),
        ("", "", 0.0),
        (" ", "a", 0.0),
    ],
)
def test_chrf_is_sacrebleus(answer: str, reference: str, value: float) -> None:
    assert chrf([answer], [[reference]])[0] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("She has 3 + 4 = 7 apples.\n#### 7", True),
        ("#### 7.0", True),
        ("so it is $7", True),
        ("7 people and 8 dogs", False),
        ("#### 8, not 7", False),
        ("seven", False),
        ("#### ", False),
        ("−7", False),
    ],
)
def test_the_final_number_counts(answer: str, right: bool) -> None:
    assert number([answer], [["3 + 4 = <<3+4=7>>7\n#### 7"]])[0] == float(right)


def test_thousands_separators_and_signs_are_read() -> None:
    assert number(["1,234,567.50", "-3", "−3"], [["#### 1234567.5"], ["#### -3"], ["#### -3"]]).tolist() == [1] * 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("between 10-12", "12"),
        ("between 10 - 12", "12"),
        ("pages 3–4", "4"),
        ("from 5%-10%", "10"),
        ("$10-$12", "12"),
        ("x = -5", "-5"),
        ("(-5)", "-5"),
        ("it fell by -.5", "-0.5"),
        ("mid-2019", "2019"),
        (".5", "0.5"),
        ("$.25", "0.25"),
        ("the answer is...5", "5"),
        ("the answer is 5.", "5"),
        ("version 1.2.3", "3"),
        ("1e3", "1000"),
        ("2.5E-3 m", "0.0025"),
        ("1.5e+2", "150"),
        ("12eggs", "12"),
        ("1e999999999", "999999999"),
        ("5 000", "5000"),
        ("5\u00a0000 km", "5000"),
        ("5\u202f000\u202f000", "5000000"),
        ("1,234,567.50", "1234567.5"),
        ("1,2,3", "3"),
        ("7,1000", "1000"),
        ("in 2019 100 people", "100"),
        ("$1,234.50", "1234.5"),
        ("-$3", "-3"),
        ("€ 7", "7"),
        ("￥１，２００", "1200"),
        ("50%", "50"),
        ("答案是１２３．５。", "123.5"),
        ("共－７个", "-7"),
        ("一共有12个苹果", "12"),
        ("#### 5 000", "5000"),
        ("#### 10-12", "10"),
        ("10²", "10"),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, value: str) -> None:
    assert final_number(text) == Decimal(value)


def test_a_text_without_a_number_has_none() -> None:
    for text in ("", "seven", "...", "-", "1 #### none", "e."):
        assert final_number(text) is None


def test_macro_f1_compares_as_accuracy_does() -> None:
    said, expected = [" a\n", "b", "b "], ["a", "b\t", "b"]
    assert accuracy(said, [[text] for text in expected]).mean() == 1.0
    assert macro_f1(said, expected) == 1.0


def test_macro_f1_weighs_rare_labels_as_much_as_frequent_ones() -> None:
    # a: 2·3/(4+3) = 6/7; b: 0.
    assert macro_f1(["a", "a", "a", "a"], ["a", "a", "a", "b"]) == pytest.approx(3 / 7)


def test_macro_f1_agrees_with_scikit_learn_when_answers_are_no_labels() -> None:
    from sklearn.metrics import f1_score

    random = np.random.default_rng(0)
    expected = random.choice(["a", "b", "c"], size=80).tolist()
    said = random.choice(["a", "b", "c", "nonsense"], size=80).tolist()
    assert macro_f1(said, expected) == pytest.approx(f1_score(expected, said, labels=["a", "b", "c"], average="macro"))


def test_the_brier_score_of_certainty_is_nothing_or_two() -> None:
    sure = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert brier_score(sure, [0, 0]) == 0.0
    assert brier_score(sure, [1, 1]) == 2.0
    assert brier_score(np.array([[0.5, 0.5]]), [0]) == 0.5
    assert brier_score(sure[:1], [-1]) == 2.0  # the right label is none of them


def test_calibration_is_perfect_where_confidence_comes_true_and_bad_where_it_does_not() -> None:
    confidences = np.array([0.75] * 4 + [1.0] * 2)
    assert calibration_error(confidences, [1, 1, 1, 0, 1, 1]) == pytest.approx(0.0)
    assert calibration_error(confidences, [0, 0, 0, 0, 0, 0]) == pytest.approx((0.75 * 4 + 2) / 6)
    assert sum(one.n for one in reliability_bins(confidences, [1] * 6)) == 6


def test_perplexity_is_weighted_by_tokens_never_a_mean_of_means() -> None:
    parts = [np.log(np.full(1, 0.5, np.float32)), np.log(np.full(9, 0.125, np.float32))]
    assert perplexity(parts) == pytest.approx(2 ** ((1 + 27) / 10), rel=1e-6)
    assert bits_per_byte(parts, ["é", "a" * 8]) == pytest.approx(28 / 10, rel=1e-6)
