"""Examples go in; token ids come out, with a weight for each: one rendering for training, evaluation and serving.

An example passes through these files, in this order:

    prompts.py          a task's question as messages, and an example as a conversation
    conversations.py    conversations and texts as token ids; the weights say which of them are trained
    last_token.py       sequences that a head reads at their last token
    templates.py        asks the model's chat template, and refuses what a template would do silently wrong:
                        leave out or rewrite earlier turns, write BOS twice, end without a special token
    tokenizer.py        what is used of a transformers tokenizer
"""
