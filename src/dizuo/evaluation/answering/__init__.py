"""How models are asked, and what they answer.

answers       what one way of doing the task said to each item
cheap         the cheap baselines
asking        how a question becomes tokens: through the template, or a raw prompt as it stands
models        the language models of an evaluation, one in memory at a time
likelihood    labels scored by their likelihood, a tree of tokens for each question
written       answers that a model writes through the engine
shots         answered examples in the prompt
heads         the outputs of a trained head
pairs         which of two answers is preferred
"""
