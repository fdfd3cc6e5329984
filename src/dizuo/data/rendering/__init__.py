"""From records to token ids: one rendering for training, evaluation and serving.

conversations.py    records -> ids with a weight for each, through the model's own chat template
templates.py        the template and the tokenizer, with their silent faults made errors
last_token.py       sequences that a head reads at their last token
"""
