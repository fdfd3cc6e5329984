"""A tiny random Llama with a real byte-level tokenizer and a chat template, as a folder any step can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dizuo.data.task import Task

TEMPLATE = (
    "{% for m in messages %}{% if m['role'] not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('unknown role ' + m['role']) }}{% endif %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TASK = Task(
    kind="classification",
    instruction="Name the section. Answer with one of: business, sport, 科技.",
    labels=("business", "sport", "科技"),
)


def tokenizer() -> Any:
    """Return a byte-level BPE tokenizer of 256 bytes, a few merges and two special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        show_progress=False,
    )
    raw.train_from_iterator(["the section of the news: business, sport and technology"] * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
    )


def model_folder(folder: Path, *, seed: int = 7) -> Path:
    """Write the tiny model and return its folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tok = tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tok),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=tok.bos_token_id,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
    )
    module = LlamaForCausalLM(config)
    module.save_pretrained(str(folder))
    tok.save_pretrained(str(folder))
    return folder


def adapter_folder(model: Path, folder: Path, *, seed: int = 1) -> Path:
    """Write a random LoRA adapter for the tiny model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    module = get_peft_model(
        LlamaForCausalLM.from_pretrained(str(model)), LoraConfig(r=4, lora_alpha=16, target_modules="all-linear")
    )
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.3, generator=generator)
    module.save_pretrained(str(folder))
    return folder


def events(lines: list[str]) -> list[Any]:
    """Return the JSON values of an event stream; the closing [DONE] stays a string."""
    data = [line.removeprefix("data: ") for line in lines if line]
    return [value if value == "[DONE]" else json.loads(value) for value in data]
