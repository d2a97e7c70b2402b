"""Storage: writes the log into the database, and answers HistoryService from it (design.md, sections 3.7 and 5)."""
