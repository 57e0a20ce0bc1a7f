"""The admin's pages about conversations."""
