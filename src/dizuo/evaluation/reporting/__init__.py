"""Answers go in; a report comes out.

rows              from answers to rows: scores with their intervals, and paired tests between rows
verdict           one honest line: did tuning help, and was a language model needed
findings          what changed, confusions, calibration, answers side by side
learning_curve    the score over the number of training rows
parts             the types of these parts of a report
report            `Report`, and report.json
"""
