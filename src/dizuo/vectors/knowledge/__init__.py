"""Documents in, citations out.

documents/              files -> documents -> chunks
knowledge_base.py       `KnowledgeBase`: a store, an embedder and a chunker kept in step
retrieval.py            how good a search is; hard negatives
changing_embedder.py    another embedder: built beside the old one, compared, swapped
"""
