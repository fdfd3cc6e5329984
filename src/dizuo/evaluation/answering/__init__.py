"""How models are asked, and what they answer.

models.py        the language models of an evaluation, one in memory at a time
likelihood.py    labels scored by their likelihood, a tree of tokens for each question
heads.py         the outputs of a trained head
shots.py         examples in the prompt
answers.py       what one way of doing the task said to each item
"""
