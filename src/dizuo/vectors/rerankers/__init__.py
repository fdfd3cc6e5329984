"""Models that reorder what a search found, one file each; `dizuo.vectors.reranking` has the protocol."""
