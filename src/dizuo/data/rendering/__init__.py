"""Examples go in; token ids come out, with a weight for each: one rendering for training, evaluation and serving.

An example passes through these files, in this order:

    prompts.py          a task's question as messages, and an example as a conversation
    conversations.py    conversations and texts as token ids; the weights say which of them are trained
    last_token.py       sequences that a head reads at their last token
    templates.py        asks the model's chat template, and refuses what a template would do silently wrong:
                        leave out or rewrite earlier turns, end without a special token
    calls.py            reads calls back from what a model has written, in the form of its template
    encoding.py         text as ids: one BOS, and no token that the model has no embedding for
    facts.py            what is known of a tokenizer and its template, worked out once
    leaving_out.py      finds the keys of a conversation that a template does not write: tools, calls, names
    faults.py           the error of a row that is right and that this model cannot be shown
    tokenizer.py        what is used of a transformers tokenizer
"""
