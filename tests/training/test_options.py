import itertools
import subprocess
import sys

import pytest

from dizuo.errors import PlanError
from dizuo.training.methods.sft import Options
from dizuo.training.planning.options import TrainOptions

BAD = [
    ({"rank": 0}, "rank must be a whole number of columns, at least 1, not 0"),
    ({"seed": None}, "seed must be a whole number, at least 0, not None"),
    ({"batch_size": 0}, "batch_size must be a whole number of sequences, at least 1, not 0"),
    ({"max_steps": 0}, "max_steps must be a whole number of optimizer steps, at least 1, not 0"),
    ({"batch_size": 2.5}, "batch_size must be a whole number of sequences, at least 1, not 2.5"),
    ({"tokens_per_block": 8}, "tokens_per_block must be a whole number of tokens, at least 16, not 8"),
    ({"max_length": True}, "max_length must be a whole number of tokens, at least 2, not True"),
    ({"seed": -1}, "seed must be a whole number, at least 0, not -1"),
    ({"checkpoint_every": 0}, "checkpoint_every must be a whole number of steps, at least 1, not 0"),
    ({"eval_every": -5}, "eval_every must be a whole number of steps, at least 0, not -5"),
    ({"patience": 0}, "patience must be a whole number of evaluations, at least 1, not 0"),
    ({"threads": 0}, "threads must be a whole number of threads, at least 1, not 0"),
    ({"learning_rate": 0.0}, "learning_rate must be a number above 0, not 0.0"),
    ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, not nan"),
    ({"epochs": -1}, "epochs must be a number above 0, not -1"),
    ({"alpha": "32"}, "alpha must be a number above 0, not '32'"),
    ({"weight_decay": -0.1}, "weight_decay must be a number, at least 0, not -0.1"),
    ({"max_grad_norm": float("inf")}, "max_grad_norm must be a number, at least 0, not inf"),
    ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
    ({"warmup_ratio": 1}, "warmup_ratio must be at least 0 and below 1, not 1"),
    ({"adapter": "qlora"}, "adapter must be one of lora, dora, rslora, full, not 'qlora' (did you mean 'lora'?)"),
    ({"schedule": "cosin"}, "schedule must be one of cosine, linear, constant, not 'cosin' (did you mean 'cosine'?)"),
    ({"dtype": "float16"}, "dtype must be one of auto, float32, bfloat16, not 'float16' (did you mean 'bfloat16'?)"),
    ({"over_length": "drop"}, "over_length must be one of refuse, cut_prompt, cut_prompt_left, not 'drop'"),
    ({"keep": "first"}, "keep must be one of best, last, not 'first'"),
    ({"layout": "packed"}, "layout must be one of auto, tree, padded, not 'packed' (did you mean 'padded'?)"),
    ({"targets": "q_proj"}, "targets must be all-linear or a list of layer names, not 'q_proj'"),
    ({"targets": ()}, "targets must be all-linear or a list of layer names, not ()"),
    (
        {"dropout": 0.1, "layout": "tree"},
        "dropout above 0 is not exact where tokens are shared: use layout auto or padded with it",
    ),
    (
        {"patience": 2, "eval_every": 0},
        "patience counts evaluations, and eval_every 0 makes none: leave eval_every open, or patience",
    ),
]


@pytest.mark.parametrize(("values", "message"), BAD, ids=[str(values) for values, _ in BAD])
def test_a_bad_option_says_its_value_and_what_is_wanted(values, message):
    with pytest.raises(PlanError) as caught:
        TrainOptions(**values)
    assert str(caught.value) == message
    assert caught.value.exit_code == 1


def test_all_bad_options_are_reported_together():
    with pytest.raises(PlanError) as caught:
        TrainOptions(rank=0, learning_rate=-1.0, schedule="step")
    assert str(caught.value) == (
        "3 training options cannot work\n"
        "  rank must be a whole number of columns, at least 1, not 0\n"
        "  learning_rate must be a number above 0, not -1.0\n"
        "  schedule must be one of cosine, linear, constant, not 'step'"
    )


def test_a_bad_method_option_says_its_value():
    with pytest.raises(PlanError, match=r"^prompt_weight must be from 0 to 1, not 2$"):
        Options(prompt_weight=2)


def test_every_option_is_described():
    import ast
    import inspect

    from dizuo.training.planning import options

    body = next(node for node in ast.parse(inspect.getsource(options)).body if isinstance(node, ast.ClassDef)).body
    for node, following in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign):
            assert isinstance(following, ast.Expr), f"{ast.unparse(node.target)} has no docstring"


def test_options_and_methods_load_nothing_heavy():
    code = (
        "import sys, dizuo.training, dizuo.training.planning.options, dizuo.training.methods.sft\n"
        "heavy = {'torch', 'transformers', 'peft', 'numpy', 'sklearn', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
