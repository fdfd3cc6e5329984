"""Stores of dizuo as other projects know vector stores: one file per project, which needs that project installed.

    langchain.py     `DizuoVectorStore`, a vector store of LangChain
    llamaindex.py    `DizuoVectorStore`, a vector store of LlamaIndex
    haystack.py      `DizuoDocumentStore`, a document store of Haystack, and its retrievers

Everywhere a text is the record's document and its metadata the record's; each file says what its project adds.
"""
