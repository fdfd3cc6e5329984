"""Preference methods and pretraining, step by step: layouts, blocks, references, pairings, windows."""

import itertools
import math

import numpy as np
import pytest
import torch
from preference_samples import move, rows_for, stepper_of, store_of

from dizuo import models
from dizuo.data.rendering import conversations
from dizuo.records import Feedback, Message, Origin, Preference
from dizuo.testing.training.samples import feedback, preferences, texts, words
from dizuo.training.methods import METHODS
from dizuo.training.tokens.batching import cut_blocks

VARIANTS = {
    "dpo": {},
    "dpo ipo": {"loss": "ipo"},
    "dpo robust": {"loss": "robust", "label_smoothing": 0.1},
    "kto": {"desirable_weight": 0.7},
    "orpo": {"weight": 0.5},
    "simpo": {},
    "pretrain": {"window": 64, "overlap": 3},
}


@pytest.fixture(scope="module")
def model(spec):
    return models.load(spec)


def refer(stepper, store):
    """Give the store what the model says before it moves."""
    if METHODS.load(stepper._method.name).needs_reference:
        store.reference = stepper.log_probabilities(store, range(len(store)))


@pytest.fixture(scope="module", params=VARIANTS)
def case(request, spec, tmp_path_factory):
    name = request.param.split()[0]
    store = store_of(spec, rows_for(name, 12), tmp_path_factory.mktemp("store"), method=name, **VARIANTS[request.param])
    return name, VARIANTS[request.param], store


def gradient_of(case, spec, model, tmp_path, *, budget, layout):
    name, options, store = case
    stepper = stepper_of(spec, tmp_path, method=name, budget=budget, layout=layout, moved=0.02, model=model, **options)
    try:
        refer(stepper, store)
        move(stepper.network, 0.05, seed=6)
        figures = stepper.accumulate(store, list(range(len(store))))
        return figures, torch.cat([parameter.grad.flatten() for parameter in stepper.network.parameters.values()])
    finally:
        store.reference = None
        stepper.network.release()


def test_loss_gradient_and_figures_depend_on_neither_blocks_nor_layout(case, spec, model, tmp_path):
    whole, flat = gradient_of(case, spec, model, tmp_path, budget=10**6, layout="padded")
    assert math.isfinite(whole.loss)
    assert whole.grad_norm > 1e-3
    for budget, layout in ((10**6, "tree"), (150, "tree"), (1, "tree"), (300, "padded"), (1, "padded")):
        figures, gradient = gradient_of(case, spec, model, tmp_path, budget=budget, layout=layout)
        assert figures.loss == pytest.approx(whole.loss, abs=1e-5, rel=1e-5)
        assert figures.grad_norm == pytest.approx(whole.grad_norm, rel=1e-4)
        assert float((gradient - flat).abs().max()) < 2e-5 * float(flat.norm())
        assert figures.also == pytest.approx(whole.also, abs=1e-4, rel=1e-4)


@pytest.mark.parametrize("layout", ["tree", "padded"])
def test_the_first_step_of_dpo_has_the_loss_ln_2_and_no_margin(spec, model, tmp_path, layout):
    store = store_of(spec, preferences(12), tmp_path, method="dpo")
    stepper = stepper_of(spec, tmp_path, method="dpo", layout=layout, moved=0, model=model, budget=200)
    try:
        refer(stepper, store)
        figures = stepper.accumulate(store, list(range(12)))
    finally:
        stepper.network.release()
    assert figures.loss == pytest.approx(math.log(2), abs=1e-6)
    assert figures.also["margin"] == pytest.approx(0, abs=1e-5)
    assert figures.also["chosen_reward"] == pytest.approx(0, abs=1e-5)


def test_a_reference_is_what_the_sequences_are_worth_one_by_one(spec, model, tmp_path):
    store = store_of(spec, preferences(6), tmp_path, method="dpo")
    stepper = stepper_of(spec, tmp_path, method="dpo", moved=0, model=model, budget=100)
    try:
        found = stepper.log_probabilities(store, range(5))
    finally:
        stepper.network.release()
    assert np.isnan(found[10:]).all(), "the sixth pair was not asked for"
    module = models.load(spec).module
    for number in range(10):
        ids = torch.from_numpy(store.ids(number).astype(np.int64))[None]
        table = torch.log_softmax(module(input_ids=ids).logits[0].double(), -1)
        alone = sum(
            float(table[place - 1, ids[0, place]]) * float(weight)
            for place, weight in enumerate(store.weights(number))
            if weight
        )
        assert found[number] == pytest.approx(alone, abs=1e-3)


def test_a_reference_is_summed_in_double_precision(spec, model, tmp_path):
    """Float32 keeps four decimals of a sum of 200 log-probabilities, and its order differs from block to block."""
    pair = Preference(
        (say("user", "pin"),), (say("assistant", words(0, 60)),), (say("assistant", words(1, 50)),),
        origin=Origin("p.jsonl", 1),
    )  # fmt: skip
    store = store_of(spec, [pair], tmp_path, method="dpo")
    stepper = stepper_of(spec, tmp_path, method="dpo", moved=0, model=model)
    try:
        found = stepper.log_probabilities(store, [0])
        with torch.no_grad():
            outputs = stepper.runner.forward(store.batch([0]).sequences)
    finally:
        stepper.network.release()
    exact = [math.fsum(outputs.logprobs[outputs.sequence == s].tolist()) for s in (0, 1)]
    assert found.tolist() == pytest.approx(exact, abs=1e-10)
    single = [float((outputs.weights * outputs.logprobs)[outputs.sequence == s].sum()) for s in (0, 1)]
    assert single != pytest.approx(exact, abs=1e-10), "float32 would have failed"


def test_the_two_answers_of_a_pair_share_their_prompt(spec, model, tmp_path):
    store = store_of(spec, preferences(12), tmp_path, method="dpo")
    for example in range(12):
        chosen, rejected = (store.ids(number) for number in store.sequences_of(example))
        prompt = int(np.flatnonzero(store.weights(store.sequences_of(example)[0]))[0])
        assert chosen[:prompt].tolist() == rejected[:prompt].tolist()


# ---------------------------------------------------------------- rendering of pairs


def say(role, content, **more):
    return Message(role, content, **more)


def test_an_answer_of_several_turns_trains_its_assistant_turns_and_nothing_else(spec):
    tokenizer = models.load_tokenizer(spec)
    prompt = (say("user", "pin"), say("assistant", "new"), say("user", "card"))
    answer = (say("assistant", "at shop"), say("user", "why"), say("assistant", "bank"))
    one = conversations.render_answer(tokenizer, prompt, answer)
    assert one.ids[: one.num_prompt].tolist() == conversations.render_prompt(tokenizer, prompt)
    assert tokenizer.decode(one.ids[one.weights > 0]) == "at shop<|im_end|>bank<|im_end|>"
    assert not one.weights[: one.num_prompt].any()


def test_a_turn_of_an_answer_may_have_no_weight(spec):
    tokenizer = models.load_tokenizer(spec)
    answer = (say("assistant", "at shop", weight=0.0), say("user", "why"), say("assistant", "bank", weight=0.5))
    one = conversations.render_answer(tokenizer, (say("user", "pin"),), answer)
    assert tokenizer.decode(one.ids[one.weights > 0]) == "bank<|im_end|>"
    assert set(one.weights.tolist()) == {0.0, 0.5}
    assert one.num_prompt == len(conversations.render_prompt(tokenizer, (say("user", "pin"),)))


def test_tools_are_written_into_the_prompt_of_a_pair(spec):
    tokenizer = models.load_tokenizer(spec)
    tokenizer.chat_template = "{% if tools %}{{ tools | tojson }}{% endif %}" + tokenizer.chat_template
    tools = ({"type": "function", "function": {"name": "money", "parameters": {}}},)
    pair = Preference((say("user", "pin"),), (say("assistant", "a"),), (say("assistant", "b"),), tools=tools)
    found = METHODS.load("dpo").sequences(pair, None, tokenizer, METHODS.load("dpo").Options())
    for one in found:
        assert '"name": "money"' in tokenizer.decode(one.ids[: one.num_prompt])


def test_answers_that_are_the_same_tokens_are_a_bad_row(spec, tmp_path):
    from training_samples import Rows

    from dizuo.training.tokens.tokenizing import Faults, Rules, tokenize

    rows = preferences(3)
    rows[1] = Preference(
        rows[1].prompt, (say("assistant", "pin"),), (say("assistant", "pin"),), origin=Origin("pairs.jsonl", 2)
    )
    faults = Faults()
    dpo = METHODS.load("dpo")
    rules = Rules(dpo, dpo.Options(), "dpo", None, models.load_tokenizer(spec), 256, "refuse")
    store = tokenize(
        Rows(train=rows, validation=[], task=None).write(tmp_path).train, tmp_path / "t", rules=rules, faults=faults
    )
    assert faults.lines() == ["pairs.jsonl:2: chosen and rejected are the same tokens to this model"]
    assert store.rows.tolist() == [0, 2]


# ---------------------------------------------------------------- prompts that are too long


@pytest.mark.parametrize("how", ["cut_prompt", "cut_prompt_left"])
@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_prompts_of_a_pair_are_cut_alike(spec, tmp_path, how, method):
    short, long = words(3, 2), words(4, 14)
    pair = Preference(
        (say("user", words(0, 60)),), (say("assistant", short),), (say("assistant", long),), origin=Origin("p.jsonl", 1)
    )
    store = store_of(spec, [pair, *preferences(2)], tmp_path, method=method, max_length=90, over_length=how)
    tokenizer = models.load_tokenizer(spec)
    full = conversations.render_prompt(tokenizer, pair.prompt)
    first = [
        number for example in range(len(store)) if store.rows[example] == 0 for number in store.sequences_of(example)
    ]
    groups = [first] if method == "dpo" else [first[:2], first[2:]]
    for group in groups:
        prompts = {tuple(store.ids(s)[: np.flatnonzero(store.weights(s))[0]].tolist()) for s in group}
        assert len(prompts) == 1
        (prompt,) = prompts
        assert max(len(store.ids(s)) for s in group) == 90
        assert len(prompt) < len(full)
        half = (len(prompt) + 1) // 2 if how == "cut_prompt" else 1
        assert list(prompt[:half]) == full[:half]
        assert list(prompt[half:]) == full[len(full) - len(prompt) + half :]
    assert tokenizer.decode(store.ids(groups[0][0])[store.weights(groups[0][0]) > 0]) == f"{short}<|im_end|>"
    assert store.counts.cut_rows == len(groups)
    assert store.counts.cut_tokens == sum(
        len(full) - int(np.flatnonzero(store.weights(group[0]))[0]) for group in groups
    ), "a prompt that is shared is lost once"


# ---------------------------------------------------------------- KTO


def targets_and_prompts(store):
    out = []
    for example in range(len(store)):
        own, other = store.sequences_of(example)
        prompt = int(np.flatnonzero(store.weights(own))[0])
        out.append((store.ids(own)[:prompt].tolist(), store.ids(own)[prompt:].tolist(), store.ids(other).tolist()))
    return out


def test_kto_puts_another_rows_answer_behind_every_prompt(spec, tmp_path):
    store = store_of(spec, feedback(24), tmp_path, method="kto")
    rows = targets_and_prompts(store)
    taken = []
    for prompt, _, mismatched in rows:
        assert mismatched[: len(prompt)] == prompt
        rest = mismatched[len(prompt) :]
        sources = [p for p, a, _ in rows if a == rest]
        assert any(p != prompt for p in sources), "the answer was given to another prompt"
        taken.append(tuple(rest))
        assert np.flatnonzero(store.weights(store.sequences_of(len(taken) - 1)[1]))[0] == len(prompt)
    assert len(set(taken)) > 18, "many rows lend their answer"
    assert store.targets[:, 0].tolist() == [1.0, 1.0, 0.0] * 8


def test_the_pairing_of_kto_is_that_of_the_data_and_of_nothing_else(spec, tmp_path):
    one = store_of(spec, feedback(24), tmp_path / "a", method="kto")
    two = store_of(spec, feedback(24), tmp_path / "b", method="kto", beta=0.5)
    assert one.digest == two.digest


def test_kto_trains_the_two_answers_of_a_preference_apart(spec, tmp_path):
    store = store_of(spec, preferences(6), tmp_path, method="kto")
    assert len(store) == 12
    assert store.targets[:, 0].tolist() == [1.0, 0.0] * 6
    assert store.rows.tolist() == [n // 2 for n in range(12)]
    for example, (prompt, _, mismatched) in enumerate(targets_and_prompts(store)):
        mine = {tuple(answer) for p, answer, _ in targets_and_prompts(store) if p == prompt}
        assert tuple(mismatched[len(prompt) :]) not in mine, example


def test_the_kl_term_of_kto_is_the_mean_over_the_whole_step(spec, model, tmp_path):
    store = store_of(spec, feedback(9), tmp_path, method="kto")
    stepper = stepper_of(spec, tmp_path, method="kto", moved=0, model=model, budget=1)
    try:
        move(stepper.network, 0.1)
        refer(stepper, store)
        move(stepper.network, -0.1)  # back to where it was, which mismatched answers like better
        now = stepper.log_probabilities(store, range(9))
        figures = stepper.accumulate(store, list(range(9)))
    finally:
        stepper.network.release()
    ratios = now - store.reference
    kl = max(0.0, ratios[1::2].mean())
    assert kl > 0.01, "the mismatched answers moved"
    assert figures.also["kl"] == pytest.approx(kl, rel=1e-4)
    sigma = 1 / (1 + np.exp(-0.1 * np.where(store.targets[:, 0] > 0, 1, -1) * (ratios[0::2] - kl)))
    assert figures.loss == pytest.approx(float((1 - sigma).mean()), abs=1e-6)
    wanted = store.targets[:, 0] > 0
    assert figures.also["desirable_reward"] == pytest.approx(0.1 * ratios[0::2][wanted].mean(), rel=1e-3)
    assert figures.also["undesirable_reward"] == pytest.approx(0.1 * ratios[0::2][~wanted].mean(), rel=1e-3)


def test_a_figure_of_a_kind_that_a_step_has_not_is_left_out_of_it(spec, model, tmp_path):
    store = store_of(spec, feedback(9), tmp_path, method="kto")
    stepper = stepper_of(spec, tmp_path, method="kto", moved=0, model=model)
    try:
        refer(stepper, store)
        figures = stepper.accumulate(store, [0, 1])
    finally:
        stepper.network.release()
    assert "desirable_reward" in figures.also
    assert "undesirable_reward" not in figures.also


def test_a_single_answer_is_its_own_mismatch(spec, tmp_path):
    row = Feedback((say("user", "pin"),), (say("assistant", "a"),), True, origin=Origin("f.jsonl", 1))
    store = store_of(spec, [row], tmp_path, method="kto")
    assert store.ids(0).tolist() == store.ids(1).tolist()


def test_a_mismatched_answer_never_makes_a_row_too_long(spec, tmp_path):
    rows = feedback(8)
    rows[3] = Feedback((say("user", "pin"),), (say("assistant", words(0, 40)),), True, origin=Origin("f.jsonl", 4))
    free = store_of(spec, rows, tmp_path / "free", method="kto")
    longest = int(free.lengths[0::2].max())
    assert free.lengths[1::2].max() > longest, "somebody took the long answer"
    store = store_of(spec, rows, tmp_path / "tight", method="kto", max_length=longest)
    assert store.lengths.max() == longest
    assert store.counts.cut_rows == 0


# ---------------------------------------------------------------- continued pretraining


def trained(store):
    """Return (context, token) of every trained token: what it is predicted from, within its sequence."""
    return [
        (tuple(store.ids(s)[:place].tolist()), int(store.ids(s)[place]))
        for s in range(store.num_sequences)
        for place in np.flatnonzero(store.weights(s))
    ]


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("overlap", [0, 1, 5])
@pytest.mark.parametrize("pack", [True, False])
def test_windows_train_every_token_exactly_once(spec, bos, overlap, pack):
    from dizuo.training.method import Entry
    from dizuo.training.methods import pretrain

    tokenizer = models.load_tokenizer(spec)
    if bos:
        tokenizer = with_bos(tokenizer)
    options = pretrain.Options(window=24, overlap=overlap, pack=pack)
    documents = texts([1, 5, 90, 17, 200, 3])
    rendered = [pretrain.sequences(text, None, tokenizer, options)[0] for text in documents]
    assert [one.num_prompt for one in rendered] == [int(bos)] * 6
    entries = list(pretrain.arrange([Entry(n, [one]) for n, one in enumerate(rendered)], 256, options))
    parts = [one for entry in entries for one in entry.sequences]
    assert max(len(one.ids) for one in parts) == 24
    assert all(one.weights[0] == 0 for one in parts)
    if bos:
        assert all(one.ids[0] == tokenizer.bos_token_id and one.ids[1] != tokenizer.bos_token_id for one in parts)
    # The trained tokens of all windows, in order, are the documents' trained tokens.
    expected = [int(one.ids[place]) for one in rendered for place in np.flatnonzero(one.weights)]
    assert [int(one.ids[place]) for one in parts for place in np.flatnonzero(one.weights)] == expected
    # Each begins with the head, then exactly the tokens that stand before what it trains.
    for one in parts:
        head = one.ids[: int(bos)].tolist()
        rest = one.ids[int(bos) :].tolist()
        assert any(
            rest == document.ids[start : start + len(rest)].tolist() and head == document.ids[: int(bos)].tolist()
            for document in rendered
            for start in range(int(bos), len(document.ids))
        )
        if len(one.ids) == 24 and one.num_prompt > 1:
            assert not one.weights[: one.num_prompt].any()
            assert one.num_prompt == int(bos) + max(overlap, 0 if bos else 1)
    sizes = [sum(len(one.ids) for one in entry.sequences) for entry in entries]
    assert max(sizes) <= 24
    if pack:
        assert len(entries) < len(parts)
        neighbours = list(itertools.pairwise(entries))
        assert all(sum(len(s.ids) for s in a.sequences) + len(b.sequences[0].ids) > 24 for a, b in neighbours)
    else:
        assert len(entries) == len(parts)
    ends = [one for one in parts if one.weights[-1] and one.ids[-1] == tokenizer.eos_token_id]
    assert len(ends) == 6, "the end of text is trained once per document"


def with_bos(tokenizer):
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{tokenizer.bos_token} $A", special_tokens=[(tokenizer.bos_token, tokenizer.bos_token_id)]
    )
    assert tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    return tokenizer


def test_documents_longer_than_the_model_reads_are_not_refused(spec, tmp_path):
    store = store_of(spec, texts([500, 3, 2]), tmp_path, method="pretrain", window=100_000)
    assert store.lengths.max() <= 256
    assert len(store) > 2


def test_documents_put_together_do_not_see_each_other(spec, model, tmp_path):
    store = store_of(spec, texts([4, 6, 5]), tmp_path / "packed", method="pretrain", window=200)
    apart = store_of(spec, texts([4, 6, 5]), tmp_path / "apart", method="pretrain", window=200, pack=False)
    assert (len(store), len(apart)) == (1, 3)
    stepper = stepper_of(spec, tmp_path, method="pretrain", model=model)
    try:
        packed = stepper.log_probabilities(store, [0])
        single = [stepper.log_probabilities(apart, [n])[n] for n in range(3)]
    finally:
        stepper.network.release()
    assert packed.tolist() == pytest.approx(single, abs=1e-4)


def test_a_pair_or_an_example_of_many_documents_is_never_cut_apart(spec, tmp_path):
    store = store_of(spec, texts([4, 6, 5, 30, 8]), tmp_path, method="pretrain", window=80)
    for part in cut_blocks(store, range(len(store)), budget=1, layout="tree"):
        assert len(part) == 1
        assert len(store.batch(part).sequences) == len(store.sequences_of(part[0]))
