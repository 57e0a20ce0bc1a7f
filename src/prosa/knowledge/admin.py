"""What the business knows, in the admin: one file for each noun."""

from prosa.knowledge import answer_pages, document_pages, learned_pages, source_pages

__all__ = ["answer_pages", "document_pages", "learned_pages", "source_pages"]
