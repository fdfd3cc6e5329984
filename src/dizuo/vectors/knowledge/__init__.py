"""Documents go in, citations come out.

documents/              files become documents, and documents chunks
text_models.py          what embedders and rerankers have in common: options, checks, batches by tokens
knowledge_base.py       `KnowledgeBase`: a store, an embedder and a chunker kept in step
retrieval.py            how good a search is; hard negatives
changing_embedder.py    another embedder: built beside the old one, compared, swapped
"""
