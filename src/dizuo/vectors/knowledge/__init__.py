"""A knowledge base: a folder of documents goes in, passages with citations come out.

    documents/              1. files become documents, and documents become chunks
    syncing.py              2. which documents are new, changed, gone or cannot be read
    knowledge_base.py       3. `KnowledgeBase` keeps the chunks in step with the folder, and searches them
    passages.py             4. chunks become records, and what is found becomes passages

    choosing.py             which embedder suits the documents, by their script
    unknown_tokens.py       warns where an embedder does not know their words

How good that is, and how it gets better:

    retrieval_metrics.py    nDCG, recall and reciprocal rank of a search
    hard_negatives.py       what a search finds and should not, as pairs to train an embedder with
    changing_embedder.py    another embedder: built beside the old one, compared, swapped
    generations.py          which generation is the current one; a handle of another says so

    holding.py              what a database holds of one, opened without its embedder
    moving.py               whole knowledge bases are copied, exported, imported

    arguments.py            what the calls of a knowledge base take
    text_models.py          what embedders and rerankers have in common: options, checks, batches by tokens
"""
