"""From answers to a report.

rows.py        scores with intervals, and paired tests
findings.py    what changed, confusions, calibration, answers side by side
curve.py       the cheap baselines with fewer training rows
verdict.py     one honest line
report.py      `Report`, and report.json
"""
