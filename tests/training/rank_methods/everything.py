"""A method for tests that uses every part that ranks must share: a reference, a sum before the loss, a head, groups.

References: none; it learns nothing useful.
"""

from dataclasses import dataclass

from dizuo.training import preference_pairs
from dizuo.training.method import Loss, Method


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the test's method."""

    beta: float = 0.1


def num_outputs(task, options):
    return 2


def sequences(example, task, tokenizer, options):
    from dizuo.data.rendering import conversations

    chosen, rejected = example.chosen[-1].content, example.rejected[-1].content
    return conversations.render_completions(tokenizer, example.prompt, [chosen, rejected, f"{rejected} {chosen}"])


def before(outputs, batch, options):
    import torch

    sums = preference_pairs.sum_logprobs(outputs).float()
    reference = torch.as_tensor(batch.reference, dtype=sums.dtype)
    return torch.stack([(sums - reference).sum(), torch.tensor(float(len(sums)))])


def loss(outputs, batch, options):
    import torch

    assert batch.member.tolist() == [0, 1] * len(batch.example)
    sums = preference_pairs.sum_logprobs(outputs).float()
    gained = sums - torch.as_tensor(batch.reference, dtype=sums.dtype)
    shift = batch.context[0] / batch.context[1]
    margin = options.beta * (gained[0::2] - gained[1::2] - shift)
    total = -torch.nn.functional.logsigmoid(margin).sum()
    total = total + torch.nn.functional.cross_entropy(outputs.scores, torch.as_tensor(batch.member), reduction="sum")
    return Loss(total, float(len(batch.example)), {"margin": margin.sum(), "shift": shift * len(batch.example)})


METHOD = Method(
    Options=Options,
    kinds=("preference",),
    sequences=sequences,
    loss=loss,
    needs_reference=True,
    num_outputs=num_outputs,
    before=before,
    members_before=(2,),
)
