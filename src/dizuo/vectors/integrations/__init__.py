"""Stores of dizuo as other projects know vector stores: one file per project, which needs that project installed.

    langchain.py     `DizuoVectorStore`, a vector store of LangChain
    llamaindex.py    `DizuoVectorStore`, a vector store of LlamaIndex
    haystack.py      `DizuoDocumentStore`, a document store of Haystack, and its retrievers

In each of them, a text is the document of a record, and the metadata of the text is that of the record. Each file says
what its project adds.
"""
