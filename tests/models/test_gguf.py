"""A GGUF becomes the very same model as safetensors: weights, tokenizer, template, tied embeddings."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import SPECIAL, TEMPLATE, save_gguf, tiny_llama, tiny_tokenizer
from transformers import AutoModelForCausalLM

from dizuo import models
from dizuo.errors import ModelError
from dizuo.events import Event, Note

IDS = torch.tensor([[1, 40, 41, 42, 43, 2]])


@pytest.mark.parametrize("tied", [True, False])
def test_the_weights_and_logits_are_those_of_the_original(tmp_path: Path, tied: bool) -> None:
    original = tiny_llama(tied=tied)
    save_gguf(tmp_path / "m.gguf", original)
    spec = models.inspect(tmp_path / "m.gguf")
    module = models.load(spec).module
    for name, tensor in original.state_dict().items():
        assert torch.equal(module.state_dict()[name], tensor), name
    assert torch.equal(module(IDS).logits, original(IDS).logits)
    assert (module.lm_head.weight is module.model.embed_tokens.weight) == tied
    assert spec.tied_embeddings == tied
    assert spec.parameters == sum(parameter.numel() for parameter in original.parameters())


def test_the_facts_are_read_off(tmp_path: Path) -> None:
    save_gguf(tmp_path / "tiny.gguf", tiny_llama())
    spec = models.inspect(tmp_path / "tiny.gguf")
    assert (spec.id, spec.architecture, spec.dtype, spec.licence) == ("tiny", "llama", "float32", "mit")
    assert (spec.num_layers, spec.num_heads, spec.num_kv_heads, spec.head_dim) == (2, 4, 2, 8)
    assert (spec.hidden_size, spec.intermediate_size, spec.context_length) == (32, 64, 128)
    assert spec.special_tokens == {"bos": SPECIAL[1], "eos": SPECIAL[2], "pad": SPECIAL[2], "unk": SPECIAL[0]}
    assert spec.capabilities["tree_attention"] is True
    assert models.ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_it_is_converted_once(tmp_path: Path) -> None:
    save_gguf(tmp_path / "m.gguf", tiny_llama())
    heard: list[Event] = []
    first = models.inspect(tmp_path / "m.gguf", watch=heard.append)
    assert any(isinstance(event, Note) and "once" in event.text for event in heard)
    heard.clear()
    shutil.copy(tmp_path / "m.gguf", tmp_path / "same.gguf")
    second = models.inspect(tmp_path / "same.gguf", watch=heard.append)
    assert heard == []
    assert (first.digest, first.folder) == (second.digest, second.folder)


def test_the_result_loads_in_plain_transformers(tmp_path: Path) -> None:
    original = tiny_llama()
    save_gguf(tmp_path / "m.gguf", original)
    folder = models.inspect(tmp_path / "m.gguf").folder
    assert torch.equal(AutoModelForCausalLM.from_pretrained(folder)(IDS).logits, original(IDS).logits)
    assert "quantization_config" not in json.loads((Path(folder) / "config.json").read_text())
    assert json.loads((Path(folder) / "tokenizer_config.json").read_text())["tokenizer_class"] == (
        "PreTrainedTokenizerFast"
    )


def test_single_digits_are_cut_before_the_spaces_as_in_pretraining(tmp_path: Path) -> None:
    """transformers 5.23 knows no pre-tokenizer `smollm`; without ours "a  1" has a space joined to the digit."""
    save_gguf(tmp_path / "m.gguf", tiny_llama())
    tokenizer, original = models.load_tokenizer(models.inspect(tmp_path / "m.gguf")), tiny_tokenizer()
    draw = random.Random(0)
    alphabet = "abc the  \n\t0123456789.,'é你好²①Ⅷ½ 🎉\u200d\u0301\u00a0"
    for _ in range(500):
        text = "".join(draw.choice(alphabet) for _ in range(draw.randint(0, 30)))
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert ids == original(text, add_special_tokens=False).input_ids, text
        assert tokenizer.decode(ids) == text
    assert tokenizer.convert_ids_to_tokens(tokenizer("a  1").input_ids)[-1] == "1"


def test_an_unknown_pre_tokenizer_is_told(tmp_path: Path) -> None:
    save_gguf(tmp_path / "m.gguf", tiny_llama(), pre="newest-invention")
    spec = models.inspect(tmp_path / "m.gguf")
    assert spec.notes == (
        "pre-tokenizer 'newest-invention' is unknown here: text may be cut into other tokens than in pretraining",
    )


def test_the_template_travels_and_a_missing_one_is_replaced_and_told(tmp_path: Path) -> None:
    save_gguf(tmp_path / "with.gguf", tiny_llama())
    spec = models.inspect(tmp_path / "with.gguf")
    assert models.load_tokenizer(spec).chat_template == TEMPLATE
    assert spec.capabilities["chat_template"] == "model"
    save_gguf(tmp_path / "without.gguf", tiny_llama(), template=None)
    spec = models.inspect(tmp_path / "without.gguf")
    assert spec.notes == ("the model has no chat template; dizuo's default 'chatml' is used",)
    assert spec.capabilities["chat_template"] == "dizuo"
    tokenizer = models.load_tokenizer(spec)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


BROKEN = {
    "not a gguf": (b"PK\x03\x04" + b"\0" * 100, "is not a GGUF file"),
    "cut in the header": (b"GGUF\x03\0\0\0", "is damaged"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_gguf_says_so(tmp_path: Path, case: str) -> None:
    content, message = BROKEN[case]
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        models.inspect(tmp_path / "m.gguf")
    assert not list((tmp_path / "home").rglob("model.safetensors"))


def test_a_gguf_cut_in_its_tensors_says_so(tmp_path: Path) -> None:
    save_gguf(tmp_path / "m.gguf", tiny_llama())
    content = (tmp_path / "m.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(content[: len(content) - 5000])
    with pytest.raises(ModelError, match="cannot be read"):
        models.inspect(tmp_path / "m.gguf")


@pytest.mark.slow
def test_two_processes_convert_once(tmp_path: Path) -> None:
    save_gguf(tmp_path / "m.gguf", tiny_llama())
    code = (
        "import sys\nfrom dizuo import models\nfrom dizuo.events import Started\nheard = []\n"
        "print(models.inspect(sys.argv[1], watch=heard.append).folder)\n"
        "print(sum(isinstance(event, Started) for event in heard))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m.gguf")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    results = [process.communicate(timeout=200)[0].split() for process in running]
    assert results[0][0] == results[1][0]
    assert sorted(converted for _, converted in results) == ["0", "1"]
